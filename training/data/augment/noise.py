"""Noises made from nothing: named as synthetic, drawn anew for every recording (evaluation facts 4.3).

Every noise is a function of a length and a generator, and gives `(num_samples,)` float32 with a mean
square of 1 at 16 kHz; `mix` brings it to the level that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.data.augment.mix import fit_length
from training.data.augment.music import music
from uniaudio.errors import InvalidInputError

SAMPLE_RATE = 16000
_LOWEST = 20.0  # Hz: below, coloured noises rise no further
Waveform = NDArray[np.float32]
Noise = Callable[[int, np.random.Generator], Waveform]


def white(num_samples: int, rng: np.random.Generator) -> Waveform:
    """The same power at every frequency."""
    return _normalised(rng.standard_normal(num_samples))


def pink(num_samples: int, rng: np.random.Generator) -> Waveform:
    """The same power in every octave."""
    return _normalised(_shaped(num_samples, rng, lambda hertz: np.maximum(hertz, _LOWEST) ** -0.5))


def brown(num_samples: int, rng: np.random.Generator) -> Waveform:
    """6 dB less in every octave: a rumble."""
    return _normalised(_shaped(num_samples, rng, lambda hertz: np.maximum(hertz, _LOWEST) ** -1.0))


def hum(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Mains at 50 or 60 Hz with harmonics, over a little hiss."""
    time = np.arange(num_samples) / SAMPLE_RATE
    base = float(rng.choice([50.0, 60.0]))
    tones = np.zeros(num_samples)
    for harmonic in range(1, 9):
        strength = rng.uniform(0.3, 1.0) / harmonic
        tones += strength * np.sin(2 * np.pi * base * harmonic * time + rng.uniform(0, 2 * np.pi))
    return _normalised(tones + 0.05 * rng.standard_normal(num_samples))


def rain(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A hiss between 1 and 7 kHz, and drops that click."""
    hiss = _unit(_shaped(num_samples, rng, lambda hertz: np.exp(-((np.log(hertz / 3000) / 0.8) ** 2))))
    drops = np.zeros(num_samples)
    count = rng.poisson(40 * num_samples / SAMPLE_RATE)
    if num_samples:
        drops[rng.integers(num_samples, size=count)] = rng.exponential(1.0, count)
    length = round(0.004 * SAMPLE_RATE)
    click = rng.standard_normal(length) * np.exp(-np.arange(length) / (0.15 * length))
    return _normalised(hiss + 2.0 * np.convolve(drops, click)[:num_samples])


def wind(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Low noise that swells and falls over seconds."""
    body = _unit(_shaped(num_samples, rng, lambda hertz: 1 / (1 + (hertz / 300) ** 2)))
    gusts = _unit(_shaped(num_samples, rng, lambda hertz: np.exp(-hertz / 0.5)))
    return _normalised(body * (0.35 + np.exp(0.7 * gusts)))


def babble(num_samples: int, rng: np.random.Generator, voices: Sequence[Waveform]) -> Waveform:
    """Many people at once: `voices` (six to ten are a crowd) at levels of their own, each begun anywhere.

    Raises InvalidInputError without voices.
    """
    if not voices:
        raise InvalidInputError("babble of 0 voices; give at least one recording, better six to ten")
    crowd = np.zeros(num_samples)
    for voice in voices:
        level = 10 ** (rng.uniform(-6, 0) / 20)
        crowd += level * _unit(fit_length(voice, num_samples, rng).astype(np.float64))
    return _normalised(crowd)


NOISES: Mapping[str, Noise] = {
    "white": white,
    "pink": pink,
    "brown": brown,
    "hum": hum,
    "rain": rain,
    "wind": wind,
    "music": music,
}
"""Noises that need nothing but a length; `babble` needs voices besides."""


def _shaped(
    num_samples: int, rng: np.random.Generator, gain: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """White noise with its spectrum times `gain` of the frequency in Hz, nothing at 0 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    hertz = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE)
    spectrum[1:] *= gain(hertz[1:])
    spectrum[:1] = 0
    return np.asarray(np.fft.irfft(spectrum, num_samples))


def _unit(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(signal / np.sqrt(np.mean(np.square(signal)) + 1e-12))


def _normalised(signal: NDArray[np.float64]) -> Waveform:
    return _unit(signal).astype(np.float32)
