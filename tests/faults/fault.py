"""What a fault is, wherever it strikes."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from tests.faults.oracle import Place
from tests.faults.pace import Pace

PlaceT = TypeVar("PlaceT", bound=Place)


@dataclass(frozen=True, kw_only=True)
class Fault(Generic[PlaceT]):
    """One kind of fault; `how` is told in the table."""

    name: str
    how: str
    strike: Callable[[PlaceT, random.Random], AbstractContextManager[None]]
    """The fault strikes when it is entered, and is over when it is left."""
    seconds: Callable[[Pace], float]
    times: Callable[[Pace], int] = lambda _: 1
    is_long: bool = False
    """Another one, only longer: worth no time in `make test`."""


def down(pace: Pace) -> float:
    """As long as a process that was killed stays away."""
    return pace.down_seconds


def away(pace: Pace) -> float:
    """As long as a neighbour is away."""
    return pace.away_seconds


def times(pace: Pace) -> int:
    """As often as a process is killed."""
    return pace.times
