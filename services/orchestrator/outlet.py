"""The way out: waveform pieces into the asked format, cut into messages of bounded size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator

from services.orchestrator.domain import AudioBytes, Floats
from uniaudio.audio.digest import AudioDigest
from uniaudio.audio.encode import AudioEncoder
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.samples import Samples
from uniaudio.runtime.calls import arrived_at

_MAX_MESSAGE_BYTES = 1 << 18
_BLOCK_SAMPLES = 2 * MODEL_SAMPLE_RATE


class Outlet:
    """Encodes an answer piece by piece and remembers how much there was.

    `num_samples` (at 16 kHz), where known beforehand, lets a WAV header tell the true length.
    Raises InvalidAudioError or LimitExceededError on construction for a format that cannot be written.
    """

    def __init__(self, asked: AudioFormat, *, num_samples: int | None = None) -> None:
        self._encoder = AudioEncoder(asked, num_samples=num_samples)
        self.format = self._encoder.format
        self._digest = AudioDigest(self.format.encoding)
        self._arrived = arrived_at()
        self._num_bytes = 0
        self._num_samples = 0
        self.first_audio_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Length of what was fed."""
        return self._num_samples / MODEL_SAMPLE_RATE

    @property
    def sha256(self) -> str:
        """The digest of what has left, as `uniaudio.audio.digest` has it."""
        return self._digest.hexdigest()

    def feed(self, waveform: Floats) -> Iterator[AudioBytes]:
        """The messages that are known after these samples `(num_samples,)`."""
        self._num_samples += len(waveform)
        return self._messages(self._encoder.feed(waveform))

    def finish(self) -> Iterator[AudioBytes]:
        """The rest."""
        return self._messages(self._encoder.finish())

    def _messages(self, content: bytes) -> Iterator[AudioBytes]:
        written = self.format
        for start in range(0, len(content), _MAX_MESSAGE_BYTES):
            piece = content[start : start + _MAX_MESSAGE_BYTES]
            self.first_audio_seconds = self.first_audio_seconds or time.monotonic() - self._arrived
            yield AudioBytes(written, piece, self._start_seconds())
            self._num_bytes += len(piece)
            self._digest.feed(piece)

    def _start_seconds(self) -> float:
        written = self.format
        sample_bytes = {AudioEncoding.PCM_S16LE: 2, AudioEncoding.PCM_F32LE: 4}.get(written.encoding)
        return 0.0 if sample_bytes is None else self._num_bytes / sample_bytes / written.sample_rate


async def encoded(outlet: Outlet, *waveforms: Samples) -> AsyncGenerator[AudioBytes, None]:
    """Messages of waveforms that are all there, encoded beside the event loop, and the end of the answer."""
    for waveform in waveforms:
        async for message in fed(outlet, waveform):
            yield message
    for message in await asyncio.to_thread(list, outlet.finish()):
        yield message


async def fed(outlet: Outlet, waveform: Samples) -> AsyncGenerator[AudioBytes, None]:
    """Messages of a waveform that is all there, encoded beside the event loop."""
    for start in range(0, len(waveform), _BLOCK_SAMPLES):
        for message in await asyncio.to_thread(list, outlet.feed(waveform[start : start + _BLOCK_SAMPLES])):
            yield message
