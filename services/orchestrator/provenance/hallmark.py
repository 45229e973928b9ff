"""What is done to everything that the model made: marked while it leaves, and certified at its end."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

import uniaudio
from services.orchestrator.domain import Floats, Model, Provenance
from services.orchestrator.outlet import Outlet
from services.orchestrator.provenance.manifest import AudioPart, Manifest, ModelPart, WatermarkPart
from services.orchestrator.provenance.signing import ManifestSigner
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.watermark import Marker, WatermarkKey, embed
from uniaudio.runtime.calls import current_request_id

Span = tuple[float, float]


class WaveformMarker(Protocol):
    """Takes a waveform piece by piece and gives it marked, a little later; see `Marker`."""

    def feed(self, waveform: Floats) -> Floats: ...

    def finish(self) -> Floats: ...


class _NoMarker:
    """Gives every piece as it is."""

    def feed(self, waveform: Floats) -> Floats:
        return waveform

    def finish(self) -> Floats:
        return np.zeros(0, np.float32)


@dataclass(frozen=True, kw_only=True)
class Making:
    """How an answer was made, as far as its pipeline knows. `generated` are seconds of the result."""

    action: Literal["speak", "edit"]
    text: str
    generated: tuple[Span, ...]
    kind: str = ""
    model: Model | None = None
    seed: int = 0
    voice_id: str = ""
    source_sha256: str = ""
    is_text_told: bool = False


class Hallmark:
    """Marks what the model made and signs how. Without a key there is no mark; without a signer no manifest."""

    def __init__(
        self, key: WatermarkKey | None = None, signer: ManifestSigner | None = None, *, payload: int = 0
    ) -> None:
        self._key = key
        self._signer = signer
        self._payload = payload

    def marker(self, position: int = 0) -> WaveformMarker:
        """For a waveform that the model makes, which begins at sample `position` of the answer."""
        if self._key is None:
            return _NoMarker()
        return Marker(self._key, payload=self._payload, position=position)

    def mark(self, waveform: Floats, generated: Sequence[Span], *, position: int = 0) -> Floats:
        """A part of the answer with those spans of the answer marked, every other sample as it was, bit for bit.

        The part begins at sample `position` of the answer and holds the spans.
        """
        if self._key is None:
            return waveform
        marked = waveform.copy()
        for start_seconds, end_seconds in generated:
            start, end = (round(seconds * MODEL_SAMPLE_RATE) for seconds in (start_seconds, end_seconds))
            here = slice(start - position, end - position)
            marked[here] = embed(waveform[here], self._key, payload=self._payload, position=start)
        return marked

    def certify(self, making: Making, outlet: Outlet) -> Provenance:
        """What the report says, once everything has left through `outlet`."""
        key = self._key if making.generated else None
        return Provenance(
            watermarked=key is not None,
            watermark_key_id=key.key_id if key else "",
            generated=making.generated,
            manifest=self._signer.sign(self._manifest(making, outlet, key)) if self._signer else "",
        )

    def _manifest(self, making: Making, outlet: Outlet, key: WatermarkKey | None) -> Manifest:
        model = making.model
        return Manifest(
            made_by=f"uniaudio {uniaudio.__version__}",
            made_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            request_id=current_request_id(),
            action=making.action,
            kind=making.kind,
            text_sha256=hashlib.sha256(making.text.encode()).hexdigest(),
            text=making.text if making.is_text_told else None,
            voice_id=making.voice_id or None,
            source_sha256=making.source_sha256 or None,
            seed=making.seed,
            model=ModelPart(name=model.name, revision=model.revision, trained=model.trained)
            if model
            else None,
            generated=making.generated,
            watermark=WatermarkPart(key_id=key.key_id, payload=self._payload) if key else None,
            audio=AudioPart(
                sha256=outlet.sha256,
                encoding=outlet.format.encoding.value,
                sample_rate=outlet.format.sample_rate,
                seconds=outlet.seconds,
            ),
        )
