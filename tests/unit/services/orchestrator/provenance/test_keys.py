"""Key files are read as documented, made once, and refused with the reason where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from services.orchestrator.provenance.keys import (
    make_development_keys,
    read_signing_keys,
    read_watermark_keys,
)
from uniaudio.errors import StartupError


def private_pem(key, password: bytes = b"") -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


ED, EC = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("key", [ED, EC], ids=["Ed25519", "P-256"])
def test_a_signing_key_and_older_public_ones(tmp_path: Path, key) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(private_pem(key) + b"\n" + public_pem(ED) + public_pem(EC))
    keys = read_signing_keys(path)
    assert private_pem(keys.private) == private_pem(key)
    assert len(keys.public) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 private keys"),
        (private_pem(ED) + private_pem(EC), "2 private keys"),
        (private_pem(ED, b"secret"), "cannot be read"),
        (private_pem(rsa.generate_private_key(65537, 2048)), "only Ed25519 and P-256"),
        (private_pem(ec.generate_private_key(ec.SECP384R1())), "only Ed25519 and P-256"),
        (b"x" * 70_000, "more than"),
    ],
)
def test_signing_keys_that_cannot_be_used(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(content)
    with pytest.raises(StartupError, match=words):
        read_signing_keys(path)


@pytest.mark.parametrize("content", ["", "abcd", "not hexadecimal digits at all, I am afraid"])
def test_watermark_keys_that_cannot_be_used(tmp_path: Path, content: str) -> None:
    path = tmp_path / "watermark.key"
    path.write_text(content)
    with pytest.raises(StartupError, match="UNIAUDIO_WATERMARK_KEY"):
        read_watermark_keys(path)
    with pytest.raises(StartupError, match="No such file"):
        read_watermark_keys(tmp_path / "missing")


def test_development_keys_are_made_once_and_private(tmp_path: Path) -> None:
    first = make_development_keys(tmp_path / "keys")
    before = [path.read_bytes() for path in first]
    assert make_development_keys(tmp_path / "keys") == first
    assert [path.read_bytes() for path in first] == before
    assert [path.stat().st_mode & 0o777 for path in first] == [0o600, 0o600]
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["signing.pem", "watermark.key"]
    read_signing_keys(first[0])
    assert len(read_watermark_keys(first[1])) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="set UNIAUDIO_SIGNING_KEY"):
        make_development_keys(tmp_path / "file" / "keys")
