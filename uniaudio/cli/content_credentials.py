"""A manifest put into its audio file as C2PA content credentials, by the Content Authenticity Initiative's library."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import uniaudio
from uniaudio.audio.formats import AudioEncoding, recognise
from uniaudio.errors import InvalidInputError, StartupError

MANIFEST_LABEL = "org.uniaudio.manifest"
# The library would put an ID3 tag before a FLAC stream, which many readers then do not know any more.
_MEDIA_TYPES = {AudioEncoding.WAV: "audio/wav", AudioEncoding.MP3: "audio/mpeg"}
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def embed_credentials(content: bytes, manifest: str, *, chain: Path, key: Path) -> bytes:
    """The WAV or MP3 file with its manifest inside, signed by `key` (ES256, PEM) with its certificates.

    `manifest` must be one that was verified. Raises InvalidInputError for other formats and for certificates that
    C2PA does not take, StartupError where the library is not installed.
    """
    try:
        import c2pa
    except ImportError as error:
        raise StartupError(
            "content credentials need a library that is not installed; pip install 'uniaudio[c2pa]'",
            reason="MISSING_PACKAGE",
        ) from error
    media_type = _media_type(content)
    signed = io.BytesIO()
    info = c2pa.C2paSignerInfo(
        alg=c2pa.C2paSigningAlg.ES256,
        sign_cert=chain.read_bytes(),
        private_key=key.read_bytes(),
        ta_url=None,  # a time stamp would need the network
    )
    try:
        with (
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(_definition(manifest, media_type)) as builder,
        ):
            builder.sign(signer, media_type, io.BytesIO(content), signed)
    except c2pa.C2paError as error:
        raise InvalidInputError(
            f"the file cannot be given content credentials: {error}; check the certificates (docs/provenance.md)",
            value=str(error)[:200],
            limit="certificates that C2PA takes",
            remedy="check the certificates (docs/provenance.md)",
        ) from error
    return signed.getvalue()


def _media_type(content: bytes) -> str:
    encoding = recognise(content)
    if encoding not in _MEDIA_TYPES:
        raise InvalidInputError(
            f"content credentials cannot be put into {encoding.upper()}; write WAV or MP3",
            value=encoding.value,
            limit="WAV or MP3",
            remedy="write WAV or MP3",
        )
    return _MEDIA_TYPES[encoding]


def _definition(manifest: str, media_type: str) -> dict[str, Any]:
    """What C2PA is told: how the audio came about, and our own signed manifest in full."""
    payload = manifest.split(".")[1]
    made = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    action = {"action": "c2pa.created", "digitalSourceType": _SOURCE_TYPES + _source_type(made)}
    return {
        "claim_generator_info": [{"name": "uniaudio", "version": uniaudio.__version__}],
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
            {"label": MANIFEST_LABEL, "data": {"jws": manifest}},
        ],
    }


def _source_type(made: dict[str, Any]) -> str:
    """The name of IPTC for how much of it a model made."""
    if made["action"] == "speak":
        return "trainedAlgorithmicMedia"
    return "compositeWithTrainedAlgorithmicMedia" if made["generated"] else "algorithmicallyEnhanced"
