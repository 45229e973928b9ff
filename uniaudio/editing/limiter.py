"""Turns loud peaks down without clipping them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from uniaudio.audio.samples import Samples

CEILING = 0.98
_BLOCK = 80  # 5 ms at 16 kHz: gains move between blocks, not between samples
_WINDOW = 12_000 * _BLOCK
_REACH = 4 * _BLOCK  # a gain depends on no sample farther away than that


def limit_peaks(
    waveform: npt.NDArray[np.float32], ceiling: float = CEILING
) -> tuple[npt.NDArray[np.float32], int]:
    """The waveform with no sample above `ceiling`, and how many samples were turned down.

    Each block gets the gain its own peak needs, each block then the least gain of itself and its two
    neighbours; between block centres the gain moves in straight lines, so it never exceeds a block's need.
    """
    num_blocks = -(-waveform.size // _BLOCK)
    padded = np.zeros(num_blocks * _BLOCK, np.float32)
    padded[: waveform.size] = np.abs(waveform)
    peaks = padded.reshape(num_blocks, _BLOCK).max(axis=1)
    need = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    bordered = np.pad(need, 1, constant_values=1.0)
    least = np.minimum(np.minimum(bordered[:-2], bordered[1:-1]), bordered[2:])
    centres = (np.arange(num_blocks) + 0.5) * _BLOCK
    gain = np.interp(np.arange(waveform.size) + 0.5, centres, least).astype(np.float32)
    return waveform * gain, int((gain < 1.0).sum())


def limit_windows(
    samples: Samples, ceiling: float = CEILING
) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
    """What `limit_peaks` gives of the whole, minute by minute."""
    for start in range(0, len(samples), _WINDOW):
        end = min(start + _WINDOW, len(samples))
        first = max(0, start - _REACH)
        around = samples[first : end + _REACH]
        limited, _ = limit_peaks(around, ceiling)
        window = limited[start - first : end - first]
        yield window, int((window != around[start - first : end - first]).sum())
