"""How much one caller may take up, how long things are kept, and how often work is tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Quota:
    """Bounds on one caller: jobs and items that have not ended, bytes of recordings and results."""

    max_jobs: int = 1_000
    max_items: int = 10_000
    max_bytes: int = 20 * 2**30


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long what is kept: jobs with results after their end, recordings after their last upload."""

    job_seconds: float = 7 * 86_400.0
    recording_seconds: float = 86_400.0
    tombstone_seconds: float = 86_400.0
    """A removed job's id and request id are known for so long; what a late worker wrote goes at the end."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When a lease runs out, when an item is sent again, and when it is given up.

    A worker renews its lease after a third of it. An item whose message seems lost is sent again after
    `redispatch_seconds`, then after twice as long each time, at most `max_redispatch_seconds`.
    """

    lease_seconds: float = 30.0
    redispatch_seconds: float = 30.0
    max_redispatch_seconds: float = 3_600.0
    max_attempts: int = 10
    max_crashes: int = 3
    first_delay_seconds: float = 2.0
    max_delay_seconds: float = 60.0

    def redispatch_after(self, num_dispatches: int) -> float:
        """Seconds until an item that was sent so often is sent again."""
        return float(min(self.redispatch_seconds * 2 ** min(num_dispatches, 30), self.max_redispatch_seconds))

    def delay(self, num_attempts: int, share: float) -> float | None:
        """Seconds before the next attempt, None where there is none; `share` (0 to 1) is drawn at random.

        Half of the delay is drawn, so that items which failed together do not come back together.
        """
        if num_attempts >= self.max_attempts:
            return None
        longest = min(self.first_delay_seconds * 2 ** (num_attempts - 1), self.max_delay_seconds)
        return float(longest * (0.5 + 0.5 * share))
