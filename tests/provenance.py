"""Keys for tests: what marks and signs, and what verifies it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.provenance.keys import SigningKeys
from services.orchestrator.provenance.signing import ManifestSigner
from services.orchestrator.provenance.verifying import AudioVerifier
from uniaudio.audio.watermark import WatermarkKey

KEY = WatermarkKey(b"a key for tests only")
PAYLOAD = 4_711


def hallmark_and_verifier() -> tuple[Hallmark, AudioVerifier]:
    """Both with the same keys, made for the occasion."""
    private = Ed25519PrivateKey.generate()
    signer = ManifestSigner(SigningKeys(private, (private.public_key(),)))
    return Hallmark(KEY, signer, payload=PAYLOAD), AudioVerifier(
        [WatermarkKey(b"an older key, still known"), KEY], signer
    )
