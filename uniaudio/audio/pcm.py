"""Raw PCM to mono float32, piece by piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uniaudio.audio.formats import AudioEncoding
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import InvalidAudioError

_LARGEST_SAMPLE = 16.0
"""Floats are meant to lie in [-1, 1]; a recording may overshoot, but 24 dB over is another scale."""


def check_samples(block: NDArray[np.float32], first_index: int) -> None:
    """Raises InvalidAudioError where a sample of `(num_frames, num_channels)` is not finite or on another scale."""
    peak = np.abs(block).max(initial=0.0)
    if peak <= _LARGEST_SAMPLE:
        return
    index = int(np.argmin((np.abs(block) <= _LARGEST_SAMPLE).all(axis=-1)))
    sample = block[index][~(np.abs(block[index]) <= _LARGEST_SAMPLE)][0]
    raise InvalidAudioError(
        f"sample {first_index + index} of the audio is {sample:g}; samples must be finite and within [-1, 1] "
        f"(up to {_LARGEST_SAMPLE:g} is forgiven); repair or rescale the recording",
        value=f"{sample:g} at sample {first_index + index}",
        limit=f"finite, at most {_LARGEST_SAMPLE:g}",
        remedy="repair or rescale the recording",
    )


class PcmReader:
    """Raw interleaved samples, cut anywhere, to mono waveforms at their own rate."""

    def __init__(
        self, encoding: AudioEncoding, sample_rate: int, num_channels: int, limits: AudioLimits
    ) -> None:
        if sample_rate == 0:
            raise InvalidAudioError(
                "raw PCM was sent without a sample rate; declare it in Hz",
                value="0 Hz",
                limit=f"{limits.min_sample_rate} to {limits.max_sample_rate} Hz",
                remedy="declare the sample rate",
            )
        limits.check_layout(sample_rate, num_channels)
        self.sample_rate = sample_rate
        self.num_channels = num_channels
        self._is_float = encoding is AudioEncoding.PCM_F32LE
        self.frame_bytes = (4 if self._is_float else 2) * num_channels
        self.num_frames = 0
        self._rest = b""

    def feed(self, content: bytes) -> NDArray[np.float32]:
        """The mono samples `(num_samples,)` that became whole."""
        content = self._rest + content
        whole = len(content) - len(content) % self.frame_bytes
        self._rest = content[whole:]
        if self._is_float:
            samples = np.frombuffer(content[:whole], dtype="<f4")
        else:
            samples = np.frombuffer(content[:whole], dtype="<i2").astype(np.float32) / np.float32(32768)
        block = samples.reshape(-1, self.num_channels)
        check_samples(block, self.num_frames)
        self.num_frames += len(block)
        return np.asarray(block.mean(axis=1), dtype=np.float32)

    def finish(self) -> None:
        """Raises InvalidAudioError when the bytes ended inside a frame."""
        if self._rest:
            raise InvalidAudioError(
                f"the raw PCM ends inside a frame: {len(self._rest)} of {self.frame_bytes} bytes are there; "
                "check encoding and channel count, or send the complete recording",
                value=f"{len(self._rest)} bytes over",
                limit=f"a multiple of {self.frame_bytes} bytes",
                remedy="check encoding and channel count, or send the complete recording",
            )
