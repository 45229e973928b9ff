"""Synthetic voices and real recordings for tests of editing; 16 kHz mono float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
FloatArray = npt.NDArray[np.float32]
VOWELS = ((700, 1200, 2500), (350, 2100, 2800), (350, 800, 2400), (500, 1700, 2500), (450, 950, 2600))


def vowels(order: str, f0: float = 140.0, seconds: float = 0.28, seed: int = 0) -> FloatArray:
    """A buzz through formants, one vowel per digit of `order`, pauses of 60 ms between."""
    noise = np.random.default_rng(seed)
    parts = [_vowel(VOWELS[int(digit)], f0 * (1 + 0.03 * noise.uniform(-1, 1)), seconds) for digit in order]
    pause = np.zeros(int(0.06 * SAMPLE_RATE))
    joined = np.concatenate([np.concatenate([part, pause]) for part in parts])
    return (joined + 3e-4 * noise.standard_normal(joined.size)).astype(np.float32)


def _vowel(formants: tuple[int, ...], f0: float, seconds: float) -> npt.NDArray[np.float64]:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(f0 * (1 + 0.05 * np.sin(2 * np.pi * 2 * time))) / SAMPLE_RATE
    tone = np.zeros_like(time)
    for harmonic in range(1, int(7000 / f0)):
        level = sum(1 / (1 + ((harmonic * f0 - formant) / 90) ** 2) for formant in formants)
        tone += level * np.sin(harmonic * phase)
    fade = np.minimum(1.0, np.minimum(time, time[::-1]) / 0.02)
    return 0.25 * fade * tone / np.abs(tone).max()


def read_speech(shared_dir: Path, name: str) -> FloatArray:
    """A recording of the shared folder at 16 kHz."""
    import soundfile
    import soxr

    waveform, rate = soundfile.read(shared_dir / "speech" / name, dtype="float32")
    return np.asarray(
        waveform if rate == SAMPLE_RATE else soxr.resample(waveform, rate, SAMPLE_RATE), np.float32
    )
