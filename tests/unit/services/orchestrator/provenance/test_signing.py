"""A signed manifest comes back as it was, from the known keys alone, and no changed byte passes."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from services.orchestrator.provenance.keys import SigningKeys
from services.orchestrator.provenance.manifest import AudioPart, Manifest, ModelPart
from services.orchestrator.provenance.signing import ManifestError, ManifestSigner, SignatureFault

MANIFEST = Manifest(
    made_by="uniaudio 0",
    made_at="2026-11-26T12:00:00+00:00",
    request_id="r",
    action="edit",
    kind="insert",
    text_sha256="0" * 64,
    seed=2**64 - 1,
    model=ModelPart(name="m", revision="r", trained=False),
    generated=((0.5, 1.25),),
    watermark=None,
    audio=AudioPart(sha256="1" * 64, encoding="wav", sample_rate=16_000, seconds=3.0),
)


def signer(key, *older) -> ManifestSigner:
    return ManifestSigner(SigningKeys(key, (key.public_key(), *(other.public_key() for other in older))))


ED, EC = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("key", [ED, EC], ids=["Ed25519", "P-256"])
def test_what_was_signed_is_read_back(key) -> None:
    one = signer(key)
    assert one.read(one.sign(MANIFEST)) == (MANIFEST, one.key_id)


def test_older_keys_are_known_and_strangers_are_not() -> None:
    token = signer(ED).sign(MANIFEST)
    assert signer(EC, ED).read(token)[0] == MANIFEST
    with pytest.raises(ManifestError) as caught:
        signer(EC).read(token)
    assert caught.value.fault is SignatureFault.UNKNOWN_KEY
    assert caught.value.key_id == signer(ED).key_id


def test_anybody_can_verify_with_the_public_keys() -> None:
    one = signer(EC, ED)
    (key, _) = json.loads(one.jwks())["keys"]
    assert key["kid"] == one.key_id
    assert "d" not in key
    payload = jwt.PyJWS().decode(one.sign(MANIFEST), jwt.PyJWK(key).key, algorithms=[key["alg"]])
    assert json.loads(payload)["request_id"] == "r"


def _changed() -> list[str]:
    one = signer(ED)
    head, payload, signature = one.sign(MANIFEST).split(".")
    other = json.loads(base64.urlsafe_b64decode(payload + "=="))
    other["seed"] = 1
    forged = base64.urlsafe_b64encode(json.dumps(other).encode()).rstrip(b"=").decode()
    unsigned = jwt.PyJWS().encode(b"{}", None, "none", {"typ": "uniaudio-manifest", "kid": one.key_id})
    of_our_key = jwt.PyJWS(algorithms=["EdDSA"])
    return [
        "",
        "not a manifest",
        f"{head}.{forged}.{signature}",
        f"{head}.{payload}.",
        unsigned,
        of_our_key.encode(b"{}", ED, "EdDSA", {"typ": "JWT", "kid": one.key_id}),
        of_our_key.encode(b"{}", ED, "EdDSA", {"typ": "uniaudio-manifest", "kid": one.key_id}),
        # Signed by the public key as if it were a shared secret.
        jwt.PyJWS().encode(b"{}", "x" * 32, "HS256", {"typ": "uniaudio-manifest", "kid": one.key_id}),
    ]


@pytest.mark.parametrize("token", _changed())
def test_nothing_else_is_believed(token: str) -> None:
    with pytest.raises(ManifestError) as caught:
        signer(ED).read(token)
    assert caught.value.fault is SignatureFault.INVALID
    assert caught.value.why
