"""Keys in files: the private key that signs, older public ones beside it, and the watermark's secrets."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from uniaudio.audio.watermark import WatermarkKey
from uniaudio.errors import InvalidInputError, StartupError

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

SIGNING_FILE, WATERMARK_FILE = "signing.pem", "watermark.key"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\s*", re.DOTALL)
_MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class SigningKeys:
    """The key that signs, and the public ones whose signatures are known; its own is the first of them."""

    private: PrivateKey
    public: tuple[PublicKey, ...]


def read_signing_keys(path: Path) -> SigningKeys:
    """A PEM file: one private key (Ed25519, or P-256) without a password, and any number of older public ones."""
    private: list[PrivateKey] = []
    public: list[PublicKey] = []
    content = _read(path, "UNIAUDIO_SIGNING_KEY")
    try:
        for block in _BLOCK.finditer(content):
            if block.group(1) == b"PUBLIC KEY":
                public.append(_known_public(serialization.load_pem_public_key(block.group())))
            else:
                private.append(_known_private(serialization.load_pem_private_key(block.group(), None)))
    except (ValueError, TypeError) as error:
        raise _wrong(path, "UNIAUDIO_SIGNING_KEY", f"a key in it cannot be read ({error})") from error
    if len(private) != 1:
        raise _wrong(path, "UNIAUDIO_SIGNING_KEY", f"it holds {len(private)} private keys, one is needed")
    return SigningKeys(private[0], (private[0].public_key(), *public))


def read_watermark_keys(path: Path) -> tuple[WatermarkKey, ...]:
    """A line of hexadecimal digits each; the first marks, all are looked for."""
    try:
        lines = _read(path, "UNIAUDIO_WATERMARK_KEY").decode("ascii").split()
        keys = tuple(WatermarkKey(bytes.fromhex(line)) for line in lines)
    except (ValueError, InvalidInputError) as error:
        raise _wrong(path, "UNIAUDIO_WATERMARK_KEY", f"a line in it is no key ({error})") from error
    if not keys:
        raise _wrong(path, "UNIAUDIO_WATERMARK_KEY", "it is empty")
    return keys


def make_development_keys(folder: Path) -> tuple[Path, Path]:
    """The files of a signing key and a watermark key below `folder`, made where they are missing."""
    signing, watermark = folder / SIGNING_FILE, folder / WATERMARK_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(signing, _new_signing_key())
        _create(watermark, f"{secrets.token_hex(32)}\n".encode())
    except OSError as error:
        raise StartupError(
            f"no development keys can be made in {folder} ({error.strerror}); set UNIAUDIO_SIGNING_KEY and "
            "UNIAUDIO_WATERMARK_KEY to files of yours",
            variable="UNIAUDIO_SIGNING_KEY",
        ) from error
    return signing, watermark


def _new_signing_key() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _create(path: Path, content: bytes) -> None:
    """Writes a private file whole, unless it is there; whoever comes second takes the first one's."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    try:
        os.link(part, path)
    except FileExistsError:
        pass  # another process made it first, or an earlier start did
    finally:
        part.unlink()


def _known_private(key: object) -> PrivateKey:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("only Ed25519 and P-256 are taken")


def _known_public(key: object) -> PublicKey:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("only Ed25519 and P-256 are taken")


def _read(path: Path, variable: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(path, variable, error.strerror or str(error)) from error
    if len(content) > _MAX_BYTES:
        raise _wrong(path, variable, f"it has more than {_MAX_BYTES} bytes")
    return content


def _wrong(path: Path, variable: str, why: str) -> StartupError:
    return StartupError(
        f"{variable}={path} cannot be used: {why}; docs/provenance.md tells how to make one",
        reason="INVALID_SETTING",
        variable=variable,
    )
