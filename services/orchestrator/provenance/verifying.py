"""Whether a recording was made here, and how: its watermark looked for, its manifest compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from services.orchestrator.domain import Floats, Recording
from services.orchestrator.provenance.manifest import Manifest
from services.orchestrator.provenance.signing import ManifestError, ManifestSigner, SignatureFault
from services.orchestrator.recordings import in_thread, read_recording
from uniaudio.audio.digest import audio_digest
from uniaudio.audio.limits import AudioLimits
from uniaudio.audio.watermark import WatermarkKey
from uniaudio.audio.watermark_detector import Detection, find_mark, spectral_contrast
from uniaudio.errors import LimitExceededError

MAX_MANIFEST_CHARACTERS = 64 << 10


class Agreement(Enum):
    """How a manifest and a recording agree."""

    MISSING = "missing"
    VALID = "valid"
    AUDIO_DIFFERS = "audio differs"
    INVALID = "invalid"
    UNKNOWN_KEY = "unknown key"


@dataclass(frozen=True, kw_only=True)
class ManifestFinding:
    """What became of a manifest; `manifest` is None where its signature does not hold."""

    agreement: Agreement
    detail: str
    key_id: str = ""
    manifest: Manifest | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is known about a recording."""

    watermark: Detection
    watermark_key_id: str
    manifest: ManifestFinding


class AudioVerifier:
    """Verifies recordings with the server's own keys; marks with its own payload are found soonest."""

    def __init__(
        self,
        keys: Sequence[WatermarkKey],
        signer: ManifestSigner,
        *,
        payload: int = 0,
        limits: AudioLimits | None = None,
    ) -> None:
        assert keys
        self._keys = tuple(keys)
        self._signer = signer
        self._payload = payload
        self._limits = limits or AudioLimits()

    def public_keys(self) -> str:
        """A JSON Web Key Set of what manifests are signed with."""
        return self._signer.jwks()

    async def verify(self, recording: Recording, manifest: str) -> Finding:
        """Raises LimitExceededError or InvalidAudioError for what cannot be a recording or a manifest."""
        if len(manifest) > MAX_MANIFEST_CHARACTERS:
            raise LimitExceededError(
                f"the manifest has {len(manifest)} characters, the limit is {MAX_MANIFEST_CHARACTERS}; send the "
                "manifest that came with the audio",
                value=len(manifest),
                limit=MAX_MANIFEST_CHARACTERS,
                remedy="send the manifest that came with the audio",
            )
        waveform = await read_recording(recording, self._limits)
        key, detection = await in_thread(lambda check: self._look(waveform, check))
        return Finding(
            watermark=detection,
            watermark_key_id=key.key_id,
            manifest=await in_thread(lambda _: self._compare(recording.content, manifest.strip())),
        )

    def _look(self, waveform: Floats, check: Callable[[], None]) -> tuple[WatermarkKey, Detection]:
        contrast = spectral_contrast(waveform, check)
        found = []
        for key in self._keys:
            check()
            detection = find_mark(contrast, key, expected=self._payload, num_keys=len(self._keys))
            found.append((key, detection))
        return min(found, key=lambda pair: pair[1].false_alarm_probability)

    def _compare(self, content: bytes, token: str) -> ManifestFinding:
        if not token:
            return ManifestFinding(agreement=Agreement.MISSING, detail="no manifest was given")
        try:
            manifest, key_id = self._signer.read(token)
        except ManifestError as error:
            is_unknown = error.fault is SignatureFault.UNKNOWN_KEY
            agreement = Agreement.UNKNOWN_KEY if is_unknown else Agreement.INVALID
            return ManifestFinding(agreement=agreement, detail=error.why, key_id=error.key_id)
        if audio_digest(content) != manifest.audio.sha256:
            agreement = Agreement.AUDIO_DIFFERS
            detail = "signed here, but for other audio: it was changed, written anew, or mixed up"
        else:
            agreement, detail = Agreement.VALID, "signed here, and the audio is the one that it describes"
        return ManifestFinding(agreement=agreement, detail=detail, key_id=key_id, manifest=manifest)
