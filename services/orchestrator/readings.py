"""A recording read several times, each a little different, and the reading that is likeliest right.

A small model mishears now this word and now that one. Shifted by part of a frame, or played a little slower or faster,
the same sound meets it in another way, and its mistakes differ where what is right does not. (Test-time augmentation;
the choice is minimum Bayes risk by word errors, Goel and Byrne 2000.) A letter ear tells, beside, how far each of them
is from what was said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np

from services.orchestrator.domain import Floats
from services.orchestrator.ear import Surprise
from services.orchestrator.heard_words import units_of
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.resample import StreamResampler
from uniaudio.text.distance import edit_distance

_WAYS = ((0, 1.0), (100, 1.0), (200, 1.0), (0, 0.94), (0, 1.06), (0, 0.88), (0, 1.12))
"""Samples left out at the beginning, of a frame of 320, and the speed; in the order in which they help."""
MAX_READINGS = len(_WAYS)
_MAX_MENDED, _MAX_TRIES = 8, 32
"""Places that are mended, and how many candidates are looked at for each."""
_NATS_AN_ERROR = 1.0
"""What a word error against one other reading weighs beside the ear's surprise (docs/nano-log.md)."""
_SECONDS = (0.5, 40.0)
"""Shorter and longer windows are read once: changed they might be too short for a patch, or too long for the model."""


def ways_of(waveform: Floats, count: int) -> list[Floats]:
    """The waveform `(num_samples,)` as it is, and in up to `count - 1` other ways."""
    least, most = _SECONDS
    if not least <= len(waveform) / MODEL_SAMPLE_RATE <= most:
        count = 1
    return [_changed(waveform, *way) for way in _WAYS[:count]]


def most_alike(texts: Sequence[str]) -> int:
    """The text with the fewest word errors against all the others; of equals the first."""
    errors = _errors(texts, texts)
    return errors.index(min(errors))


def likeliest(texts: Sequence[str], surprise: Surprise) -> str:
    """What was said, by these readings of it and an ear.

    Each is as good as its word errors against all of them and the ear's surprise at it are few. The best is mended with
    what others have in places where they differ, one place after the other, as long as that makes it better: one
    reading hears the beginning right and another one the end.
    """

    def costs(candidates: Sequence[str]) -> list[float]:
        together = zip(_errors(candidates, texts), surprise(candidates), strict=True)
        return [_NATS_AN_ERROR * errors + nats for errors, nats in together]

    distinct = list(dict.fromkeys(texts))
    cost, best = min(zip(costs(distinct), distinct, strict=True))
    for _ in range(_MAX_MENDED):
        tries = _mended(best, distinct)[:_MAX_TRIES]
        if not tries:
            break
        better, mended = min(zip(costs(tries), tries, strict=True))
        if better >= cost:
            break
        cost, best = better, mended
    return best


def _mended(text: str, others: Sequence[str]) -> list[str]:
    """The text with each of the places where others differ from it as they have it."""
    words = text.split()
    mended: dict[str, None] = {}
    for other in others:
        theirs = other.split()
        for start, end, first, last in _differences(words, theirs):
            if changed := [*words[:start], *theirs[first:last], *words[end:]]:
                mended[" ".join(changed)] = None
    return list(mended)


def _differences(words: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Where they differ: from and up to in both, as a whole and, where both have as many words, one by one."""
    for what, start, end, first, last in SequenceMatcher(None, words, theirs, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        yield start, end, first, last
        if 1 < end - start == last - first:
            yield from ((start + i, start + i + 1, first + i, first + i + 1) for i in range(end - start))


def _errors(texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """Word errors of each text against all others together."""
    wanted = [units_of(text) for text in others]
    return [sum(edit_distance(units, other) for other in wanted) for units in map(units_of, texts)]


def _changed(waveform: Floats, skipped: int, speed: float) -> Floats:
    if speed == 1.0:
        return waveform[skipped:]
    resampler = StreamResampler(round(MODEL_SAMPLE_RATE * speed), MODEL_SAMPLE_RATE)
    return np.concatenate([resampler.feed(waveform), resampler.finish()])
