"""Batches by length: items of like length together, the padded size of a batch bounded.

Which items a step has is a pure function of (seed, step): nothing is remembered between steps, so a resumed
run, and a run on other ranks, sees the same batches. An epoch takes every item once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniaudio.errors import InvalidInputError, LimitExceededError

Indices = NDArray[np.int64]
_DEFAULT_RATIO = 1.15  # between the longest of one bucket and of the next: bounds padding to 15 %


@dataclass(frozen=True)
class _Bucket:
    items: Indices  # by rising length
    batch_size: int

    @property
    def num_batches(self) -> int:
        return -(-len(self.items) // self.batch_size)


class LengthBatches:
    """Batches of items whose count times the longest is at most `max_total`.

    `lengths` `(num_items,)` are in any unit (samples, frames, positions), `max_total` in the same; `max_items`
    bounds the count as well. Raises LimitExceededError for an item that alone is longer than `max_total`.
    """

    def __init__(
        self,
        lengths: NDArray[Any],
        *,
        max_total: int,
        seed: int,
        max_items: int | None = None,
        ratio: float = _DEFAULT_RATIO,
    ) -> None:
        self._lengths = np.asarray(lengths, np.int64)
        _check(self._lengths, max_total, max_items, ratio)
        self._seed = seed
        self._buckets = _buckets(self._lengths, max_total, max_items, ratio)
        self._ends = np.cumsum([bucket.num_batches for bucket in self._buckets])

    @property
    def batches_per_epoch(self) -> int:
        """How many steps see every item once."""
        return int(self._ends[-1])

    def batch(self, step: int) -> Indices:
        """The items `(num_items,)` of step `step` (from 0), the longest first."""
        epoch, position = divmod(step, self.batches_per_epoch)
        place = int(self._generator(epoch, 0).permutation(self.batches_per_epoch)[position])
        number = int(np.searchsorted(self._ends, place, side="right"))
        bucket = self._buckets[number]
        within = place - int(self._ends[number]) + bucket.num_batches
        order = self._generator(epoch, 1 + number).permutation(bucket.items)
        # Every `num_batches`-th, so that the batches of a bucket differ by one item at most.
        items = order[within :: bucket.num_batches]
        return np.asarray(items[np.argsort(-self._lengths[items], kind="stable")])

    def padding(self) -> float:
        """The part of the padded size that is padding, over the first epoch."""
        padded = total = 0
        for step in range(self.batches_per_epoch):
            lengths = self._lengths[self.batch(step)]
            padded += len(lengths) * int(lengths.max())
            total += int(lengths.sum())
        return 1 - total / padded

    def _generator(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, epoch, stream])


def _check(lengths: Indices, max_total: int, max_items: int | None, ratio: float) -> None:
    if lengths.ndim != 1 or not lengths.size or lengths.min() < 1:
        shortest = lengths.min() if lengths.size else "none"
        raise InvalidInputError(
            f"lengths have shape {lengths.shape} and the shortest is {shortest}; give a list of some, all above 0"
        )
    if ratio <= 1 or (max_items is not None and max_items < 1):
        raise InvalidInputError(
            f"ratio is {ratio} and max_items {max_items}; above 1 and at least 1 are needed"
        )
    if lengths.max() > max_total:
        raise LimitExceededError(
            f"item {int(lengths.argmax())} has length {lengths.max()}, a batch holds {max_total}; "
            "cut it or raise max_total"
        )


def _buckets(lengths: Indices, max_total: int, max_items: int | None, ratio: float) -> list[_Bucket]:
    order = np.argsort(lengths, kind="stable")
    rising = lengths[order]
    buckets, first = [], 0
    while first < len(order):
        end = int(np.searchsorted(rising, rising[first] * ratio, side="right"))
        size = max_total // int(rising[end - 1])
        buckets.append(_Bucket(order[first:end], size if max_items is None else min(size, max_items)))
        first = end
    return buckets
