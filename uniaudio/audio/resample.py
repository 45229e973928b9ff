"""Streaming change of sample rate: memory does not grow with the recording."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray


class StreamResampler:
    """Takes a mono float32 waveform piece by piece and gives it at another rate.

    The pieces put end to end have round(num_samples * to_rate / from_rate) samples.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._stream = (
            None if from_rate == to_rate else soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
        )

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples `(num_samples,)` that are known by now; may be none."""
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples), dtype=np.float32)

    def finish(self) -> NDArray[np.float32]:
        """The rest; nothing may be fed afterwards."""
        if self._stream is None:
            return np.zeros(0, dtype=np.float32)
        return np.asarray(
            self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True), dtype=np.float32
        )
