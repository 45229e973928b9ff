"""A recording read several times, each a little different, and the reading that is likeliest right.

A small model mishears now this word and now that one. Shifted by part of a frame, or played a little slower or faster,
the same sound meets it in another way, and its mistakes differ where what is right does not. (Test-time augmentation;
the choice is minimum Bayes risk by word errors, Goel and Byrne 2000.) A letter ear tells, beside, how far each of them
is from what was said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.orchestrator.domain import Floats
from services.orchestrator.heard_words import units_of
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.resample import StreamResampler
from uniaudio.text.distance import edit_distance

_WAYS = ((0, 1.0), (100, 1.0), (200, 1.0), (0, 0.94), (0, 1.06), (0, 0.88), (0, 1.12))
"""Samples left out at the beginning, of a frame of 320, and the speed; in the order in which they help."""
MAX_READINGS = len(_WAYS)
_NATS_AN_ERROR = 1.5
"""What a word error against one other reading weighs beside the ear's surprise (docs/nano-log.md)."""
_SECONDS = (0.5, 40.0)
"""Shorter and longer windows are read once: changed they might be too short for a patch, or too long for the model."""


def ways_of(waveform: Floats, count: int) -> list[Floats]:
    """The waveform `(num_samples,)` as it is, and in up to `count - 1` other ways."""
    least, most = _SECONDS
    if not least <= len(waveform) / MODEL_SAMPLE_RATE <= most:
        count = 1
    return [_changed(waveform, *way) for way in _WAYS[:count]]


def most_alike(texts: Sequence[str], surprises: Sequence[float] | None = None) -> int:
    """The text with the fewest word errors against all the others; of equals the first.

    With `surprises`, nats by which a letter ear is surprised at each, these count beside the errors.
    """
    words = [units_of(text) for text in texts]
    costs: list[float] = [sum(edit_distance(one, other) for other in words if other != one) for one in words]
    if surprises is not None:
        costs = [_NATS_AN_ERROR * errors + nats for errors, nats in zip(costs, surprises, strict=True)]
    return costs.index(min(costs))


def _changed(waveform: Floats, skipped: int, speed: float) -> Floats:
    if speed == 1.0:
        return waveform[skipped:]
    resampler = StreamResampler(round(MODEL_SAMPLE_RATE * speed), MODEL_SAMPLE_RATE)
    return np.concatenate([resampler.feed(waveform), resampler.finish()])
