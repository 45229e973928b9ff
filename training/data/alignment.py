"""Word times by synthesis: speak the same words, find which moment is which, carry the known times over.

The moments are matched by dynamic time warping over cepstra every 5 ms (evaluation facts 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.data.alignment_features import HOP, features
from training.data.utterance import Span, Utterance
from uniaudio.errors import InvalidAudioError, LimitExceededError

MAX_SECONDS = 20.0
_SINGLE_STEP_COST = 1.0  # what a frame costs besides its distance where one side stands still
_SILENCE_COST = 0.2  # silence matches silence, without much to say for it
_MIXED_COST = 1.0  # silence against speech


def align_words(spoken: Utterance, waveform: NDArray[np.float32]) -> tuple[Span, ...]:
    """The words of `spoken`, with their times in `waveform`, where somebody else says the same words.

    Both are 16 kHz mono and at most 20 s long: time and memory grow with the product of the lengths.
    Raises InvalidAudioError for less than 50 ms, LimitExceededError for more than 20 s.
    """
    edges = np.array([(word.start, word.end) for word in spoken.words])
    mapped = carry_times(spoken.waveform, waveform, edges.ravel()).reshape(edges.shape)
    return tuple(
        Span(word.label, int(start), int(end))
        for word, (start, end) in zip(spoken.words, mapped, strict=True)
    )


def carry_times(
    template: NDArray[np.float32], waveform: NDArray[np.float32], samples: Sequence[int] | NDArray[np.int_]
) -> NDArray[np.int_]:
    """Sample positions of `template` as positions of `waveform`; rising where the given ones rise."""
    for signal in (template, waveform):
        if signal.size < 10 * HOP:
            raise InvalidAudioError(f"{signal.size} samples are too few to align: give at least {10 * HOP}")
        if signal.size > MAX_SECONDS * 16000:
            raise LimitExceededError(
                f"{signal.size / 16000:.1f} s is too long to align, the limit is {MAX_SECONDS:g} s: cut it first"
            )
    path = warping_path(local_cost(template, waveform))
    # Frame k is centred on sample HOP / 2 + k * HOP; a frame met more than once counts by its mean.
    frames, first = np.unique(path[:, 0], return_index=True)
    counts = np.diff(np.append(first, len(path)))
    partners = np.add.reduceat(path[:, 1].astype(np.float64), first) / counts
    positions = np.asarray(samples, np.float64) / HOP - 0.5
    inner = np.interp(positions, frames, partners)
    # Beyond the outermost frame centres the clock of both is the same.
    inner += np.minimum(positions - frames[0], 0) + np.maximum(positions - frames[-1], 0)
    carried: NDArray[np.int_] = np.clip(np.round((inner + 0.5) * HOP), 0, waveform.size).astype(np.int_)
    return carried


def local_cost(template: NDArray[np.float32], waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine distance of every pair of frames `(num_template, num_waveform)`, told by loudness where quiet."""
    left, left_silence = features(template)
    right, right_silence = features(waveform)
    speech = (1 - left_silence[:, None]) * (1 - right_silence)
    difference = np.abs(left_silence[:, None] - right_silence)
    quiet = _SILENCE_COST + (_MIXED_COST - _SILENCE_COST) * difference
    return np.asarray(speech * (1 - left @ right.T) + (1 - speech) * quiet, np.float32)


def warping_path(cost: NDArray[np.float32]) -> NDArray[np.int_]:
    """The cheapest path `(num_steps, 2)` from corner to corner of `cost`, both indices never falling.

    Steps are (1, 1), (1, 2) and (2, 1), which keeps slopes within 1/2 and 2; (1, 0) and (0, 1) cost extra.
    """
    total = _accumulate(cost)
    i, j = cost.shape[0] - 1, cost.shape[1] - 1
    path = [(i, j)]
    while i > 0 or j > 0:
        steps = [
            (total[i - down, j - right] + price, down, right)
            for down, right, price in _step_prices(cost, i, j)
            if i >= down and j >= right
        ]
        _, down, right = min(steps)
        if (down, right) == (2, 1):
            path.append((i - 1, j))
        elif (down, right) == (1, 2):
            path.append((i, j - 1))
        i, j = i - down, j - right
        path.append((i, j))
    return np.array(path[::-1])


def _step_prices(cost: NDArray[np.float32], i: int, j: int) -> tuple[tuple[int, int, float], ...]:
    """Steps that end at (i, j), as rows down, columns right, and what they cost."""
    here = float(cost[i, j])
    return (
        (1, 1, 2 * here),
        (1, 2, 2 * here + float(cost[i, j - 1])),
        (2, 1, 2 * here + float(cost[i - 1, j])),
        (0, 1, here + _SINGLE_STEP_COST),
        (1, 0, here + _SINGLE_STEP_COST),
    )


def _accumulate(cost: NDArray[np.float32]) -> NDArray[np.float64]:
    """Least cost of reaching each pair, row by row; steps within a row by one running minimum."""
    rows, columns = cost.shape
    total = np.full((rows, columns), np.inf)
    alone = np.cumsum(cost + _SINGLE_STEP_COST, axis=1, dtype=np.float64)
    for i in range(rows):
        here = cost[i].astype(np.float64)
        best = np.full(columns, np.inf)
        if i == 0:
            best[0] = here[0]
        if i >= 1:
            before = total[i - 1]
            best = before + here + _SINGLE_STEP_COST
            np.minimum(best[1:], before[:-1] + 2 * here[1:], out=best[1:])
            np.minimum(best[2:], before[:-2] + 2 * here[2:] + here[1:-1], out=best[2:])
        if i >= 2:
            np.minimum(best[1:], total[i - 2, :-1] + 2 * here[1:] + cost[i - 1, 1:], out=best[1:])
        total[i] = alone[i] + np.minimum.accumulate(best - alone[i])
    return total
