"""Threads of the CPU kernels: one, or the whole team, whichever was faster lately for calls of that size.

A team waits for its slowest member at every layer. Where a core is taken, by another process or by torch's
own threads, which spin for a while after each product, one thread alone is several times faster. What is
computed does not depend on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch

T = TypeVar("T")

# Products of weights and rows below which waiting for each other costs threads more than they save.
_WORTH_THREADS = 2_000_000
_MEMORY = 0.2  # weight of the newest call in the average
# The slower way is tried again after so many calls, times how much slower it was: 3 % of the time at most.
_CALLS_BETWEEN_TRIALS = 32
_MOST_CALLS_BETWEEN_TRIALS = 1024


@dataclass
class _Pace:
    """Seconds per product of calls of one size, by whether the team computed them."""

    seconds: dict[bool, float] = field(default_factory=dict)
    calls_to_trial: int = _CALLS_BETWEEN_TRIALS

    def next_is_together(self) -> bool:
        if len(self.seconds) < 2:
            return True not in self.seconds
        faster = self.seconds[True] <= self.seconds[False]
        if self.calls_to_trial > 0:
            self.calls_to_trial -= 1
            return faster
        slower_by = self.seconds[not faster] / self.seconds[faster]
        self.calls_to_trial = min(round(_CALLS_BETWEEN_TRIALS * slower_by), _MOST_CALLS_BETWEEN_TRIALS)
        return not faster

    def note(self, together: bool, seconds: float) -> None:
        known = self.seconds.get(together, seconds)
        self.seconds[together] = known + _MEMORY * (seconds - known)


class ThreadChoice:
    """Runs kernels on one thread or on `team_size()` of them."""

    def __init__(self, team_size: Callable[[], int], clock: Callable[[], float] = time.perf_counter) -> None:
        self._team_size, self._clock = team_size, clock
        self._paces: dict[int, _Pace] = {}

    def call(self, num_products: int, kernel: Callable[[int], T]) -> T:
        """What `kernel(num_threads)` gives; `num_products` says how much it computes."""
        team = self._team_size()
        if team == 1 or num_products < _WORTH_THREADS:
            return kernel(1)
        pace = self._paces.setdefault(num_products.bit_length(), _Pace())
        together = pace.next_is_together()
        start = self._clock()
        result = kernel(team if together else 1)
        pace.note(together, (self._clock() - start) / num_products)
        return result


_taken: int | None = None


def take_threads_from_torch() -> None:
    """Leaves torch one thread and the kernels all that it had: for a process that computes by kernels."""
    global _taken
    _taken = max(_taken or 1, torch.get_num_threads())
    torch.set_num_threads(1)


def _team_size() -> int:
    return _taken or torch.get_num_threads()


on_threads = ThreadChoice(_team_size).call
