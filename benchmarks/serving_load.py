"""How load is offered and judged: when callers come, what their listeners hear, which rate holds."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

FIRST_AUDIO_LIMIT_SECONDS = 0.5


class Piece(NamedTuple):
    """Audio that reached a caller: seconds since its request was sent, and seconds of sound in it."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What one caller got. `engine_seconds` is the engine's own account, where the door tells it."""

    pieces: tuple[Piece, ...] = ()
    total_seconds: float = 0.0
    engine_seconds: float | None = None
    failure: str = ""

    @property
    def first_audio_seconds(self) -> float:
        """Until the first sound; for ever where none came."""
        return self.pieces[0].at if self.pieces else math.inf

    @property
    def audio_seconds(self) -> float:
        """Sound in all."""
        return sum(piece.seconds for piece in self.pieces)

    @property
    def num_underruns(self) -> int:
        """How often a listener who plays from the first sound on would have to wait for the next."""
        return underruns(self.pieces)


def underruns(pieces: Sequence[Piece]) -> int:
    """Pieces that came after what was there had been played; a player that waited goes on from there."""
    if not pieces:
        return 0
    count, played_until = 0, pieces[0].at + pieces[0].seconds
    for piece in pieces[1:]:
        if piece.at > played_until:
            count, played_until = count + 1, piece.at
        played_until += piece.seconds
    return count


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least that share of all does not exceed; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def arrival_times(rate: float, count: int, seed: int) -> list[float]:
    """Seconds from the start at which callers come who know nothing of each other, `rate` a second in the mean."""
    random_gaps = random.Random(seed)
    times, at = [], 0.0
    for _ in range(count):
        at += random_gaps.expovariate(rate)
        times.append(at)
    return times


@dataclass(frozen=True)
class Trial:
    """Callers at one rate, and what they got."""

    rate: float
    seconds: float
    answers: tuple[Answer, ...]

    def first_audio(self, share: float) -> float:
        """Seconds until first audio that this share of the callers did not exceed; a failure never hears any."""
        return percentile((answer.first_audio_seconds for answer in self.answers), share)

    @property
    def num_failed(self) -> int:
        """Callers that were refused or broken off."""
        return sum(1 for answer in self.answers if answer.failure)

    @property
    def num_underruns(self) -> int:
        """Of all listeners."""
        return sum(answer.num_underruns for answer in self.answers)

    @property
    def audio_rate(self) -> float:
        """Seconds of speech made per second."""
        return sum(answer.audio_seconds for answer in self.answers) / self.seconds

    @property
    def holds(self) -> bool:
        """Whether every caller was served, heard something in time, and without a gap."""
        in_time = self.first_audio(0.99) <= FIRST_AUDIO_LIMIT_SECONDS
        return in_time and not self.num_failed and not self.num_underruns


async def highest_rate(
    holds: Callable[[float], Awaitable[bool]], start: float, *, num_doublings: int = 6, num_halvings: int = 3
) -> float:
    """The highest rate that was seen to hold, 0 where none was; at most so many trials of each kind.

    From `start` it doubles while rates hold, or halves until one does, then halves the gap between the two.
    """
    low, high = 0.0, math.inf
    rate = start
    for _ in range(num_doublings + 1):
        if await holds(rate):
            low, rate = rate, 2 * rate
        else:
            high, rate = rate, rate / 2
        if low and high < math.inf:
            break
    if not low or high == math.inf:
        return low
    for _ in range(num_halvings):
        middle = math.sqrt(low * high)
        if await holds(middle):
            low = middle
        else:
            high = middle
    return low
