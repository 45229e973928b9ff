"""Which keys mark and sign: the environment, read once."""

from __future__ import annotations

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
        "UNIAUDIO_WATERMARK_KEY", None, "File of watermark keys; empty takes the one in the folder of keys."
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
        "PEM file of the key that signs manifests; empty takes the one there.",
    )
    folder: Path = setting(
        "UNIAUDIO_KEYS_DIR",
        Path("~/.local/state/uniaudio/keys"),
        "Folder of keys for one machine, made at the first start.",
    )


def make_provenance(settings: ProvenanceSettings) -> tuple[Hallmark, AudioVerifier]:
    """What marks and signs, and what verifies it. Raises StartupError for keys that cannot be used.

    Keys that the settings do not name are made in their folder at the first start.
    """
    signing, marking = settings.signing_key, settings.watermark_key
    if signing is None or marking is None:
        folder = settings.folder.expanduser()
        made_signing, made_marking = make_development_keys(folder)
        log.info("marking and signing with the keys of this machine", folder=str(folder))
        signing, marking = signing or made_signing, marking or made_marking
    keys = read_watermark_keys(marking)
    signer = ManifestSigner(read_signing_keys(signing))
    hallmark = Hallmark(keys[0] if settings.watermark else None, signer, payload=settings.watermark_payload)
    return hallmark, AudioVerifier(keys, signer, payload=settings.watermark_payload)
