"""Which keys mark and sign: the environment, read once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.provenance.keys import (
    make_development_keys,
    read_signing_keys,
    read_watermark_keys,
)
from services.orchestrator.provenance.signing import ManifestSigner
from services.orchestrator.provenance.verifying import AudioVerifier
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.settings import setting

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProvenanceSettings:
    """Whether speech is marked, and with which keys."""

    watermark: bool = setting("UNIAUDIO_WATERMARK", True, "Mark what the model speaks, inaudibly.")
    watermark_key: Path | None = setting(
        "UNIAUDIO_WATERMARK_KEY", None, "File of watermark keys; empty makes one for this run."
    )
    watermark_payload: int = setting(
        "UNIAUDIO_WATERMARK_PAYLOAD",
        0,
        "Number that the watermark carries, e.g. which deployment.",
        minimum=0,
        maximum=65_535,
    )
    signing_key: Path | None = setting(
        "UNIAUDIO_SIGNING_KEY",
        None,
        "PEM file of the key that signs manifests; empty makes one for this run.",
    )


def make_provenance(
    settings: ProvenanceSettings, *, folder: Path | None = None
) -> tuple[Hallmark, AudioVerifier]:
    """What marks and signs, and what verifies it. Raises StartupError for keys that cannot be used.

    Keys that the settings do not name are made below `folder`, or the process's temporary folder: under
    `uniaudio up` they live as long as the stack.
    """
    signing, marking = settings.signing_key, settings.watermark_key
    if signing is None or marking is None:
        folder = folder or Path(tempfile.gettempdir()) / "uniaudio-keys"
        made_signing, made_marking = make_development_keys(folder)
        log.warning(
            "keys made for this run: what it marks and signs cannot be verified later", folder=str(folder)
        )
        signing, marking = signing or made_signing, marking or made_marking
    keys = read_watermark_keys(marking)
    signer = ManifestSigner(read_signing_keys(signing))
    hallmark = Hallmark(keys[0] if settings.watermark else None, signer, payload=settings.watermark_payload)
    return hallmark, AudioVerifier(keys, signer)
