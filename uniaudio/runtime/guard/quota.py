"""How much each caller may use in a span of time, counted exactly however many replicas ask.

Use is counted in sixty buckets a window. What counts against a limit is the running bucket and the sixty
before it, which cover every span of the window's length: so no such span ever holds more than the limit.
The price: what was used comes back up to a sixtieth of the window late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from uniaudio.errors import QuotaExceededError, UnavailableError, UniaudioError
from uniaudio.runtime.guard.callers import Caller
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

NUM_BUCKETS = 60


@dataclass(frozen=True, kw_only=True)
class Quota:
    """At most `limit` units in any span of `window_seconds`, for each caller; 0 counts nothing."""

    name: str
    unit: str
    limit: int
    window_seconds: int

    @property
    def bucket_microseconds(self) -> int:
        """Length of a bucket."""
        return self.window_seconds * 1_000_000 // NUM_BUCKETS


@dataclass(frozen=True, kw_only=True)
class Charge:
    """So many units of a quota for a caller."""

    caller: str
    amount: int
    quota: Quota


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The charges were counted, each in the bucket of its number."""

    charges: tuple[Charge, ...]
    buckets: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Nothing was counted: this charge does not fit, and may after so long."""

    charge: Charge
    used: int
    wait_seconds: float


class CounterStore(Protocol):
    """Counters that all replicas share. Each call is one transaction; raises UnavailableError when away."""

    async def take(self, charges: Sequence[Charge]) -> Taken | Refused:
        """Counts all charges, or none where one would exceed its limit."""

    async def give_back(self, taken: Taken, amount: int) -> None:
        """Takes `amount` out of the buckets of every charge of `taken` again."""

    async def close(self) -> None:
        """Lets go of connections and files."""


class Quotas:
    """Takes and gives back what callers use.

    `open_on_outage` decides what happens while the store is away: uncounted calls, or refused ones.
    """

    def __init__(self, store: CounterStore, quotas: Sequence[Quota], *, open_on_outage: bool = False) -> None:
        self._store = store
        self._quotas = tuple(quotas)
        self._open_on_outage = open_on_outage
        self._was_away = False

    async def take(self, caller: Caller, unit: str, amount: int) -> Taken | None:
        """Counts `amount` against all of the caller's quotas of that unit, and returns what can be given back.

        Raises QuotaExceededError with `retry_after_seconds`, or UnavailableError while the store is away.
        """
        charges = [Charge(caller=caller.name, amount=amount, quota=quota) for quota in self._of(caller, unit)]
        if not charges or amount <= 0:
            return None
        try:
            answer = await self._store.take(charges)
        except UnavailableError as error:
            self._note_outage(error)
            if self._open_on_outage:
                return None
            raise
        self._was_away = False
        if isinstance(answer, Refused):
            raise _exceeded(caller, answer)
        return answer

    def counts(self, caller: Caller, unit: str) -> bool:
        """Whether the caller has any quota of that unit."""
        return bool(self._of(caller, unit))

    async def give_back(self, taken: Taken, amount: int) -> None:
        """Gives back what was taken and not used; a store that is away keeps it, and the log says so."""
        try:
            await self._store.give_back(taken, amount)
        except UnavailableError as error:
            self._note_outage(error)

    async def close(self) -> None:
        """Closes the store."""
        await self._store.close()

    def _of(self, caller: Caller, unit: str) -> list[Quota]:
        """The quotas that count for a caller, each with the limit that is its own or everybody's."""
        quotas = [
            replace(quota, limit=caller.limits.get(quota.name, quota.limit))
            for quota in self._quotas
            if quota.unit == unit
        ]
        return [quota for quota in quotas if quota.limit]

    def _note_outage(self, error: UniaudioError) -> None:
        if not self._was_away:
            consequence = "calls are not counted" if self._open_on_outage else "calls are refused"
            log.error("quotas cannot be counted", consequence=consequence, error=error.message)
        self._was_away = True


def store_away(where: str, cause: object) -> UnavailableError:
    """The error of a counter store that does not answer."""
    return UnavailableError(
        f"the quota store {where} does not answer: {cause}; try again in some seconds",
        reason="QUOTA_STORE_AWAY",
        value="no answer",
        limit="an answer of the quota store",
        remedy="try again in some seconds",
    )


def wait_of(used: Sequence[tuple[int, int]], charge: Charge, now_microseconds: int) -> float:
    """Seconds until enough of `used` (bucket number and amount, oldest first) no longer counts for `charge`."""
    width = charge.quota.bucket_microseconds
    too_much = sum(amount for _, amount in used) + charge.amount - charge.quota.limit
    for bucket, amount in used:
        too_much -= amount
        if too_much <= 0:
            return max(0.001, ((bucket + NUM_BUCKETS + 1) * width - now_microseconds) / 1e6)
    return float(charge.quota.window_seconds)  # more than the whole limit: waiting alone does not help


def _exceeded(caller: Caller, refused: Refused) -> QuotaExceededError:
    quota, wait = refused.charge.quota, refused.wait_seconds
    remedy = f"try again in {wait:.1f} s" if refused.charge.amount <= quota.limit else "ask for less at once"
    return QuotaExceededError(
        f"{caller.name} used {refused.used} of {quota.limit} {quota.unit} in {quota.window_seconds} s, and this "
        f"needs {refused.charge.amount} more; {remedy}",
        value=f"{refused.used} + {refused.charge.amount} {quota.unit}",
        limit=f"{quota.limit} {quota.unit} in {quota.window_seconds} s",
        remedy=remedy,
        retry_after_seconds=round(wait, 3),
        quota=quota.name,
    )
