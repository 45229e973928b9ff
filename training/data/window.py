"""Which source samples a stretch of an utterance needs: the arithmetic that both input pipelines share.

Only the stretch is decoded and resampled, with a margin on each side, beginning where a source sample and
a resampled one fall together; so cutting before resampling equals cutting after it (to 1e-4 of full scale,
tested).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.data.manifest import Row
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.errors import InvalidInputError, LimitExceededError

MAX_SECONDS = 600.0
"""The longest stretch that is decoded at once."""
MAX_REPEATS = 32
"""How often a noise recording is repeated at most to cover what it is mixed into."""
_MARGIN = 800  # resampled samples on each side: more than the resamplers' filters reach


@dataclass(frozen=True)
class Window:
    """Decode `source_count` samples from `source_start` of the recording, resample, keep `num_available`;

    repeat them where they are fewer than `skip + count`; the stretch is `[skip, skip + count)` of that.
    """

    source_start: int
    source_count: int
    num_available: int
    skip: int
    count: int


def resampled_length(row: Row) -> int:
    """Samples of the utterance at 16 kHz: rounded down, so that every resampler has them."""
    return row.num_samples * MODEL_SAMPLE_RATE // row.sample_rate


def stretch(row: Row, start: int = 0, count: int | None = None) -> Window:
    """`count` samples at 16 kHz from `start` on, fewer where the utterance ends; None takes the rest.

    Raises InvalidInputError for a stretch that holds nothing and LimitExceededError for one above
    `MAX_SECONDS`.
    """
    total = resampled_length(row)
    if not 0 <= start < total or (count is not None and count < 1):
        raise InvalidInputError(
            f"a stretch of {count} samples from {start} on holds nothing of {row.id!r}, which has {total} at "
            f"{MODEL_SAMPLE_RATE} Hz; begin inside it and take at least one"
        )
    count = total - start if count is None else min(count, total - start)
    _check_seconds(row, count)
    return _with_margin(row, start, count)


def looped(row: Row, start: int, count: int) -> Window:
    """`count` samples from `start` on of a recording that begins again where it ends.

    Raises InvalidInputError where that needs more than `MAX_REPEATS` repetitions.
    """
    total = resampled_length(row)
    _check_seconds(row, count)
    if total == 0 or start % total + count > MAX_REPEATS * total:
        raise InvalidInputError(
            f"the noise {row.id!r} has {total} samples at {MODEL_SAMPLE_RATE} Hz, repeated {MAX_REPEATS} times "
            f"that is too few for {count}; use a longer recording"
        )
    start %= total
    if start + count <= total:
        return _with_margin(row, start, count)
    _check_seconds(row, total)
    return Window(row.start_sample, row.num_samples, total, start, count)


def _check_seconds(row: Row, count: int) -> None:
    if count > MAX_SECONDS * MODEL_SAMPLE_RATE:
        raise LimitExceededError(
            f"{count / MODEL_SAMPLE_RATE:.1f} s of {row.id!r} are asked for, the limit is {MAX_SECONDS:g} s; "
            "take shorter stretches"
        )


def _with_margin(row: Row, start: int, count: int) -> Window:
    divisor = math.gcd(row.sample_rate, MODEL_SAMPLE_RATE)
    source_period, period = row.sample_rate // divisor, MODEL_SAMPLE_RATE // divisor
    margin = 0 if source_period == period else _MARGIN
    first = max(0, start - margin) // period * period
    source_first = first // period * source_period
    source_end = min(row.num_samples, -(-(start + count + margin) * row.sample_rate // MODEL_SAMPLE_RATE))
    source_count = source_end - source_first
    num_available = source_count * MODEL_SAMPLE_RATE // row.sample_rate
    return Window(row.start_sample + source_first, source_count, num_available, start - first, count)
