"""Waveforms that need not be in memory: what is read by slices may lie on a disk."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from uniaudio.audio.limits import MODEL_SAMPLE_RATE

_SAMPLE_BYTES = 4
_MEMORY_BYTES = 16 * 2**20
_BLOCK_SAMPLES = 60 * MODEL_SAMPLE_RATE


class Samples(Protocol):
    """A mono waveform that is looked at piece by piece; an array is one."""

    @property
    def size(self) -> int:
        """Number of samples."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]: ...


class SpooledSamples:
    """A float32 waveform that grows at its end: in memory up to four minutes, on disk beyond. Used by one thread."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - closed with the samples
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the memory or the disk."""
        self._file.close()

    @property
    def size(self) -> int:
        """Number of samples."""
        return self._size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]:
        """The samples of a span without a step, as an array of its own."""
        start, end, step = span.indices(self._size)
        assert step == 1, "samples are read in their order"
        self._file.seek(start * _SAMPLE_BYTES)
        content = self._file.read(max(0, end - start) * _SAMPLE_BYTES)
        return np.frombuffer(bytearray(content), dtype="<f4")

    def append(self, waveform: NDArray[np.float32]) -> None:
        """Adds samples `(num_samples,)` at the end."""
        self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(waveform, dtype="<f4").tobytes())
        self._size += len(waveform)


class Part:
    """The samples of another waveform from `start` to `end`, read when they are asked for."""

    def __init__(self, samples: Samples, start: int, end: int) -> None:
        self._samples = samples
        self._start = start
        self._size = max(0, end - start)

    @property
    def size(self) -> int:
        """Number of samples."""
        return self._size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]:
        """The samples of a span without a step."""
        start, end, step = span.indices(self._size)
        assert step == 1, "samples are read in their order"
        return self._samples[self._start + start : self._start + end]


def blocks_of(samples: Samples, block_samples: int = _BLOCK_SAMPLES) -> Iterator[NDArray[np.float32]]:
    """The whole waveform, a minute at a time."""
    for start in range(0, len(samples), block_samples):
        yield samples[start : start + block_samples]


def peak_of(samples: Samples) -> float:
    """The largest magnitude; 0 where there are no samples."""
    return max((float(np.abs(block).max()) for block in blocks_of(samples)), default=0.0)


def mean_amplitude(samples: Samples) -> float:
    """The mean magnitude; 0 where there are no samples."""
    total = sum(float(np.abs(block).sum(dtype=np.float64)) for block in blocks_of(samples))
    return total / len(samples) if len(samples) else 0.0
