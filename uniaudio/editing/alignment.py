"""Finds what two recordings share at their beginnings and at their ends, around one difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uniaudio.editing.features import FloatArray, cepstra

_SAMPLE_RATE = 16_000
_MAX_FRAMES = 3072  # per recording; bounds time and memory by a coarser hop
_MIN_HOP = 160
SKIP_COST = 0.55  # per frame left unmatched; matched frames cost their cosine distance
_SILENCE_COST = 0.25  # silence matches silence, without much to say for it
_MIXED_COST = 0.9  # silence against speech
_NOISE_FLOOR = 0.3  # so much two silences may differ because one is noisier
_OFF_PLACE_COST = 0.25  # per frame that a cut lies outside the expected place


@dataclass(frozen=True)
class SharedEnds:
    """Samples: source[:source_start] matches generated[:generated_start], likewise from both ends on.

    `confidence` is 0 for no likeness to 1 for the same recording; `matched_share` the part of the source's
    speech outside the difference that found its counterpart.
    """

    source_start: int
    source_end: int
    generated_start: int
    generated_end: int
    confidence: float
    matched_share: float


def align_ends(
    source: FloatArray, generated: FloatArray, source_fraction: tuple[float, float] | None = None
) -> SharedEnds:
    """The cheapest common beginning and end of two 16 kHz recordings, with one difference between.

    `source_fraction` tells where in the source's speech the difference is expected, from 0 to 1.
    Slopes between 1/2 and 2 are allowed. Time and memory grow with the product of the lengths up to
    3072 x 3072 frames, and no further.
    """
    hop = max(_MIN_HOP, -(-max(source.size, generated.size) // _MAX_FRAMES))
    source_features, source_silence = cepstra(source, hop)
    generated_features, generated_silence = cepstra(generated, hop)
    cost = _local_cost(source_features, source_silence, generated_features, generated_silence)
    source_active, generated_active = source_silence < 0.5, generated_silence < 0.5
    forward = _accumulate(cost, _lead_silence(source_active), _lead_silence(generated_active))
    backward = _accumulate(
        cost[::-1, ::-1], _lead_silence(source_active[::-1]), _lead_silence(generated_active[::-1])
    )[::-1, ::-1]
    cuts = _best_cuts(forward, backward, _expected_places(source_active, source_fraction, hop))
    return _judge(cuts, forward, backward, source_active, source_fraction, hop)


def _local_cost(
    source: FloatArray, source_silence: FloatArray, generated: FloatArray, generated_silence: FloatArray
) -> FloatArray:
    """Cost of every pair of frames `(num_source, num_generated)`.

    Where both are speech it is the cosine distance; where either is quiet, how much the quiet differs.
    """
    both_speech = (1 - source_silence[:, None]) * (1 - generated_silence)
    difference = np.abs(source_silence[:, None] - generated_silence)
    of_silence = np.clip((difference - _NOISE_FLOOR) / (1 - _NOISE_FLOOR), 0.0, 1.0)
    of_silence = _SILENCE_COST + (_MIXED_COST - _SILENCE_COST) * of_silence
    return np.asarray(of_silence + both_speech * (1 - source @ generated.T - of_silence), np.float32)


def _lead_silence(active: npt.NDArray[np.bool_]) -> int:
    """How many silent frames come first: those may be skipped, pauses there differ freely."""
    return int(active.argmax()) if active.any() else len(active)


def _accumulate(cost: FloatArray, source_silence: int, generated_silence: int) -> FloatArray:
    """Least cost `(N + 1, M + 1)` of matching the first i and j frames; every frame used is paid for once.

    Steps are (1, 1), (1, 2) and (2, 1), so that a row needs only the two rows before it.
    """
    num_rows, num_columns = cost.shape
    total = np.full((num_rows + 1, num_columns + 1), np.inf, np.float32)
    total[0, : generated_silence + 1] = np.arange(generated_silence + 1) * _SILENCE_COST
    total[: source_silence + 1, 0] = np.arange(source_silence + 1) * _SILENCE_COST
    for i in range(1, num_rows + 1):
        here = cost[i - 1]
        row = total[i - 1, :-1] + 2 * here
        if num_columns > 1:
            np.minimum(row[1:], total[i - 1, :-2] + 2 * here[1:] + here[:-1], out=row[1:])
        if i > 1:
            np.minimum(row, total[i - 2, :-1] + 2 * here + cost[i - 2], out=row)
        np.minimum(total[i, 1:], row, out=total[i, 1:])
    return total


def _expected_places(
    active: npt.NDArray[np.bool_], fraction: tuple[float, float] | None, hop: int
) -> tuple[FloatArray, FloatArray]:
    """What a cut costs at each source frame, for the beginning and the end of the difference."""
    frames = np.arange(len(active) + 1, dtype=np.float32)
    if fraction is None or not active.any():
        return np.zeros_like(frames), np.zeros_like(frames)
    first, last = int(active.argmax()), len(active) - int(active[::-1].argmax())
    slack = 0.3 * _SAMPLE_RATE / hop + 0.12 * (last - first)
    start, end = (
        _OFF_PLACE_COST * np.maximum(0.0, np.abs(frames - (first + share * (last - first))) - slack)
        for share in fraction
    )
    return start.astype(np.float32), end.astype(np.float32)


def _best_cuts(
    forward: FloatArray, backward: FloatArray, places: tuple[FloatArray, FloatArray]
) -> tuple[int, int, int, int]:
    """Frames (i1, i2, j1, j2) with the least cost of both matches and of everything skipped between."""
    skipped = SKIP_COST * np.add.outer(
        np.arange(forward.shape[0], dtype=np.float32), np.arange(forward.shape[1], dtype=np.float32)
    )
    opening = forward + places[0][:, None] - skipped
    reachable = np.minimum.accumulate(np.minimum.accumulate(opening, axis=0), axis=1)
    whole = reachable + skipped + backward + places[1][:, None]
    i2, j2 = np.unravel_index(int(whole.argmin()), whole.shape)
    i1, j1 = np.unravel_index(int(opening[: i2 + 1, : j2 + 1].argmin()), (int(i2) + 1, int(j2) + 1))
    return int(i1), int(i2), int(j1), int(j2)


def _judge(
    cuts: tuple[int, int, int, int],
    forward: FloatArray,
    backward: FloatArray,
    active: npt.NDArray[np.bool_],
    fraction: tuple[float, float] | None,
    hop: int,
) -> SharedEnds:
    i1, i2, j1, j2 = cuts
    num_source, num_generated = forward.shape[0] - 1, forward.shape[1] - 1
    used = i1 + j1 + (num_source - i2) + (num_generated - j2)
    mean_cost = float(forward[i1, j1] + backward[i2, j2]) / used if used else SKIP_COST
    matched = int(active[:i1].sum()) + int(active[i2:].sum())
    inside = fraction[1] - fraction[0] if fraction else 0.0
    expected = max(1.0, float(active.sum()) * (1 - inside))
    return SharedEnds(
        source_start=i1 * hop, source_end=i2 * hop, generated_start=j1 * hop, generated_end=j2 * hop,
        confidence=max(0.0, 1 - mean_cost / SKIP_COST), matched_share=min(1.0, matched / expected),
    )  # fmt: skip
