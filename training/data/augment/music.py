"""Music of the simplest kind: a chord progression plucked on decaying partials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAMPLE_RATE = 16000
_MAJOR, _MINOR = (0, 4, 7, 12), (0, 3, 7, 12)
_PROGRESSIONS = (
    ((0, _MAJOR), (7, _MAJOR), (9, _MINOR), (5, _MAJOR)),
    ((0, _MAJOR), (5, _MAJOR), (7, _MAJOR), (0, _MAJOR)),
    ((0, _MINOR), (8, _MAJOR), (3, _MAJOR), (10, _MAJOR)),
    ((9, _MINOR), (5, _MAJOR), (0, _MAJOR), (7, _MAJOR)),
)
_NUM_PARTIALS = 6


def music(num_samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A progression in a key and a tempo of its own, `(num_samples,)` at 16 kHz with a mean square of 1."""
    chords = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    key = 110.0 * 2 ** (rng.integers(12) / 12)
    beat = round(_SAMPLE_RATE * 60 / rng.uniform(70, 140))
    decay, brightness = rng.uniform(0.3, 0.9), rng.uniform(0.4, 0.8)
    melody = np.zeros(num_samples + 4 * beat)
    order = rng.permutation(4)
    for number, start in enumerate(range(0, num_samples, beat)):
        root, steps = chords[(number // 4) % len(chords)]
        step = steps[order[number % 4]]
        pluck = _pluck(key * 2 ** ((root + step) / 12), 4 * beat, decay, brightness)
        melody[start : start + 4 * beat] += pluck * rng.uniform(0.6, 1.0)
        if number % 4 == 0:
            melody[start : start + 4 * beat] += _pluck(
                key / 2 * 2 ** (root / 12), 4 * beat, decay, brightness
            )
    melody = melody[:num_samples]
    return np.asarray(melody / np.sqrt(np.mean(np.square(melody)) + 1e-12), np.float32)


def _pluck(hertz: float, num_samples: int, decay: float, brightness: float) -> NDArray[np.float64]:
    """One note: partials that die the sooner the higher they are, begun and ended without a click."""
    time = np.arange(num_samples) / _SAMPLE_RATE
    note = np.zeros(num_samples)
    for partial in range(1, _NUM_PARTIALS + 1):
        if hertz * partial < _SAMPLE_RATE / 2:
            fading = np.exp(-time * partial**0.5 / decay)
            note += brightness ** (partial - 1) * fading * np.sin(2 * np.pi * hertz * partial * time)
    edge = min(80, num_samples // 2)
    ramp = np.arange(edge) / max(1, edge)
    note[:edge] *= ramp
    note[num_samples - edge :] *= ramp[::-1]
    return note
