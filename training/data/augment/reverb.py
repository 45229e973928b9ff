"""A room: the direct sound and a tail of decaying noise (evaluation facts 4.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAMPLE_RATE = 16000
MIN_RT60, MAX_RT60 = 0.2, 0.8


def room_response(
    rt60_seconds: float, direct_to_reverberant_db: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """An impulse response whose direct path is sample 0, so that nothing is delayed.

    The tail begins 3 ms later and has fallen by 60 dB after `rt60_seconds`.
    """
    num_samples = max(1, round(rt60_seconds * _SAMPLE_RATE))
    time = np.arange(num_samples) / _SAMPLE_RATE
    tail = rng.standard_normal(num_samples) * 10 ** (-3 * time / rt60_seconds)
    tail[: round(0.003 * _SAMPLE_RATE)] = 0
    tail *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.sum(np.square(tail)) + 1e-12)
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The waveform `(num_samples,)` in a room of RT60 0.2 to 0.8 s, as long, as loud, and not delayed."""
    response = room_response(rng.uniform(MIN_RT60, MAX_RT60), rng.uniform(0.0, 12.0), rng)
    size = 1 << (waveform.size + response.size).bit_length()
    wet = np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(response, size), size)[: waveform.size]
    loudness = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))
    return np.asarray(wet * (loudness / (np.sqrt(np.mean(np.square(wet))) + 1e-12)), np.float32)
