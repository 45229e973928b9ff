"""Finds the mark of `uniaudio.audio.watermark`, with a bound on false alarms that holds for any recording.

Of a recording only the local contrast of its spectrum is looked at: how much each cell is louder or softer than
what surrounds it. The score is the pattern's correlation with that, divided by the contrast's own length. Were
the key's signs drawn after the recording was made, the score would be a weighted sum of independent random
signs, which exceeds t at most 3.178 times as often as a normal variable does, whatever the weights (Bentkus and
Dzindzalieta, Bernoulli 21(2), 2015). Every place that is looked at adds its share, so the probability told here
is a bound for the whole search and for any recording.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.watermark import (
    CELL_BINS,
    CELL_FRAMES,
    DATA_BANDS,
    FIRST_BIN,
    FRAME_SAMPLES,
    HOP_SAMPLES,
    NUM_BANDS,
    NUM_CELLS,
    PAYLOAD_BITS,
    WINDOW,
    WatermarkKey,
    payload_places,
    signs_with_payload,
)

MAX_FALSE_ALARM_PROBABILITY = 1e-5
"""A recording counts as marked where chance would do the same with at most this probability."""

_PERIOD_FRAMES = CELL_FRAMES * NUM_CELLS
_FRAME_RATE = MODEL_SAMPLE_RATE / HOP_SAMPLES
_WINDOW_SECONDS = (1.024, 4.096)
"""Beside the whole, windows of these lengths are looked at, half overlapping: the mark may be in a part only."""
_FLOOR = 1e-7
_MAX_CONTRAST_DECIBELS = 10.0
_AROUND_FRAMES, _AROUND_BINS = 8, 8
_LEAST_SPREAD = 16.0
_RANDOM_SIGNS = 3.178
_BLOCK_FRAMES = 4096


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What was found. `spans` (start and end in seconds) are the parts that show the mark by themselves.

    `score` is the strongest correlation found, in standard deviations of what chance gives;
    `false_alarm_probability` bounds how often chance would do so well anywhere in the recording.
    `payload` is None where its bits cannot be told with `payload_confidence` of at least 0.99.
    """

    score: float
    false_alarm_probability: float
    spans: tuple[tuple[float, float], ...]
    payload: int | None
    payload_confidence: float

    @property
    def is_marked(self) -> bool:
        """Whether chance is ruled out."""
        return self.false_alarm_probability <= MAX_FALSE_ALARM_PROBABILITY


@dataclass(frozen=True)
class _Match:
    """The best alignment of the pattern with some frames: their span, its score and its chance of being none."""

    start: int
    end: int
    shift: int
    score: float
    false_alarm_probability: float


def detect(waveform: NDArray[np.float32], key: WatermarkKey, *, expected: int | None = None) -> Detection:
    """Looks for the key's mark anywhere in a 16 kHz waveform `(num_samples,)`.

    A mark that carries the `expected` payload is found in less sound, any other in a little more.
    """
    return find_mark(spectral_contrast(waveform), key, expected=expected)


def find_mark(
    contrast: NDArray[np.float32], key: WatermarkKey, *, expected: int | None = None, num_keys: int = 1
) -> Detection:
    """Looks for the key's mark in what `spectral_contrast` gave, for who tries `num_keys` keys."""
    patterns = _patterns(key, expected)
    families = _families(len(contrast))
    matches = []
    for family in families:
        # Each family of windows gets an equal part of the chance of a false alarm.
        num_looks = _PERIOD_FRAMES * len(family) * len(families) * len(patterns) * num_keys
        matches += [_match(contrast, patterns, start, end, num_looks) for start, end in family]
    best = min(matches, key=lambda match: match.false_alarm_probability)
    shown = [match for match in matches if match.false_alarm_probability <= MAX_FALSE_ALARM_PROBABILITY]
    payload, confidence = (
        _payload(contrast[best.start : best.end], key.signs(), best.shift) if shown else (None, 0.0)
    )
    return Detection(
        score=best.score,
        false_alarm_probability=best.false_alarm_probability,
        spans=_spans(shown),
        payload=payload,
        payload_confidence=confidence,
    )


def _patterns(key: WatermarkKey, expected: int | None) -> list[NDArray[np.float64]]:
    """What is looked for, `(NUM_CELLS, NUM_BANDS)`, 0 in bands that are left out."""
    patterns = [key.signs() * ~DATA_BANDS]
    return patterns if expected is None else [*patterns, signs_with_payload(key, expected)]


def _families(num_frames: int) -> list[list[tuple[int, int]]]:
    """The whole, and for each length of window that is shorter its places."""
    families = [[(0, num_frames)]]
    for seconds in _WINDOW_SECONDS:
        length = round(seconds * _FRAME_RATE)
        if length < num_frames:
            starts = [*range(0, num_frames - length, length // 2), num_frames - length]
            families.append([(start, start + length) for start in starts])
    return families


def spectral_contrast(
    waveform: NDArray[np.float32], check: Callable[[], None] = lambda: None
) -> NDArray[np.float32]:
    """How each band of each frame stands out from what surrounds it, `(num_frames, NUM_BANDS)`.

    Frames of a 16 kHz waveform `(num_samples,)` begin every 16 ms. Decibels, divided by how much they vary
    around there and summed over a band's bins. `check` is called once a minute of sound and may raise to give up.
    """
    num_frames = -(-len(waveform) // HOP_SAMPLES) + 1
    reach = 2 * _AROUND_FRAMES  # what a mean of means looks at
    pieces = []
    for start in range(0, num_frames, _BLOCK_FRAMES):
        check()
        end = min(start + _BLOCK_FRAMES, num_frames)
        first, last = max(0, start - reach), min(end + reach, num_frames)
        weighted = _weighted_contrast(_frames(waveform, first, last))[start - first : end - first]
        bands = weighted[:, FIRST_BIN : FIRST_BIN + NUM_BANDS * CELL_BINS]
        pieces.append(bands.reshape(-1, NUM_BANDS, CELL_BINS).sum(axis=2).astype(np.float32))
    return np.concatenate(pieces)


def _frames(waveform: NDArray[np.float32], first: int, last: int) -> NDArray[np.float32]:
    """Frames `first` to `last` `(last - first, FRAME_SAMPLES)`; the first one begins a hop before the sound."""
    start, end = (first - 1) * HOP_SAMPLES, (last - 2) * HOP_SAMPLES + FRAME_SAMPLES
    samples = waveform[max(0, start) : end]
    before = max(0, -start)
    padded = np.pad(samples, (before, end - start - before - len(samples)))
    return np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]


def _weighted_contrast(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each bin's difference from its surroundings, `(num_frames, num_bins)`; more where the sound is steady."""
    spectra = np.fft.rfft(frames * WINDOW, axis=1)
    level = 10.0 * np.log10(np.square(np.abs(spectra)) + _FLOOR)
    rest = level - _moving_mean(level, _AROUND_FRAMES, axis=0)
    rest -= _moving_mean(rest, _AROUND_BINS, axis=1)
    clipped = np.clip(rest, -_MAX_CONTRAST_DECIBELS, _MAX_CONTRAST_DECIBELS)
    spread = _moving_mean(_moving_mean(np.square(clipped), _AROUND_FRAMES, axis=0), _AROUND_BINS, axis=1)
    return np.asarray(clipped / (spread + _LEAST_SPREAD))


def _moving_mean(values: NDArray[np.float64], reach: int, axis: int) -> NDArray[np.float64]:
    """The mean over `reach` neighbours on either side; the outermost values stand for those beyond."""
    padding = [(0, 0), (0, 0)]
    padding[axis] = (reach + 1, reach)
    sums = np.cumsum(np.pad(values, padding, mode="edge"), axis=axis)
    width = 2 * reach + 1
    length = values.shape[axis]
    upper = np.take(sums, range(width, width + length), axis=axis)
    lower = np.take(sums, range(length), axis=axis)
    return np.asarray((upper - lower) / width)


def _folded(contrast: NDArray[np.float32], shift: int) -> NDArray[np.float64]:
    """Sums over the cells of the pattern `(NUM_CELLS, NUM_BANDS)` if it stood at frame `shift` to begin with."""
    places = (np.arange(len(contrast)) + shift) // CELL_FRAMES % NUM_CELLS
    sums = np.zeros((NUM_CELLS, NUM_BANDS))
    np.add.at(sums, places, contrast)
    return sums


def _match(
    contrast: NDArray[np.float32], patterns: list[NDArray[np.float64]], start: int, end: int, num_looks: int
) -> _Match:
    best = _Match(start, end, 0, 0.0, 1.0)
    for fine in range(CELL_FRAMES):
        sums = _folded(contrast[start:end], fine)
        for pattern in patterns:
            score, coarse = _best_turn(sums, pattern)
            if score > best.score:
                chance = num_looks * _RANDOM_SIGNS * 0.5 * math.erfc(score / math.sqrt(2))
                best = _Match(start, end, CELL_FRAMES * coarse + fine, score, min(1.0, chance))
    return best


def _best_turn(sums: NDArray[np.float64], pattern: NDArray[np.float64]) -> tuple[float, int]:
    """The best score of the pattern, turned by any number of cells, and that number; 0 for silence."""
    bands = pattern.any(axis=0)
    length = float(np.linalg.norm(sums[:, bands]))
    if length == 0.0:
        return 0.0, 0
    turns = (np.arange(NUM_CELLS)[:, None] + np.arange(NUM_CELLS)) % NUM_CELLS
    scores = np.take_along_axis(sums @ pattern.T, turns, axis=1).sum(axis=0) / length
    coarse = int(scores.argmax())
    return float(scores[coarse]), coarse


def _payload(
    contrast: NDArray[np.float32], signs: NDArray[np.float64], shift: int
) -> tuple[int | None, float]:
    """The bits, and how sure they are: each is a normal value of known spread around plus or minus one mean."""
    chips = (_folded(contrast, shift) * signs)[:, DATA_BANDS].reshape(-1)
    places = payload_places().reshape(-1)
    sums = np.bincount(places, weights=chips, minlength=PAYLOAD_BITS)
    spread = np.sqrt(np.bincount(places, weights=np.square(chips), minlength=PAYLOAD_BITS)) + 1e-12
    values = sums / spread
    mean = math.sqrt(max(0.0, float(np.square(values).mean()) - 1.0))
    confidence = float(np.prod(1.0 / (1.0 + np.exp(-2.0 * mean * np.abs(values)))))
    bits = sum(1 << index for index in range(PAYLOAD_BITS) if values[index] > 0)
    return (bits if confidence >= 0.99 else None), confidence


def _spans(matches: list[_Match]) -> tuple[tuple[float, float], ...]:
    """Where the mark shows: short windows say it best, a longer one counts where no shorter one overlaps it."""
    spans: list[tuple[float, float]] = []
    for match in sorted(matches, key=lambda match: match.end - match.start):
        shorter = [span for span in spans if span[1] - span[0] < match.end - match.start]
        if not any(match.start < end and start < match.end for start, end in shorter):
            spans.append((match.start, match.end))
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple((start / _FRAME_RATE, end / _FRAME_RATE) for start, end in merged)
