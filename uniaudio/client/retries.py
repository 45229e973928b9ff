"""The budget of what goes on where it broke off: pauses between tries, renewed by progress."""

from __future__ import annotations

from uniaudio.errors import QuotaExceededError, UniaudioError
from uniaudio.runtime.status import retry_after_seconds

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_NUM_TRIES = 12
"""About 40 s: long enough for a service that is started again."""


class Retries:
    """How often something may still be tried, and how long to wait before."""

    def __init__(self, *, first_pause_seconds: float = _FIRST_PAUSE_SECONDS) -> None:
        self._first_pause_seconds = first_pause_seconds
        self._num_failures = 0

    def pause_after(self, error: UniaudioError) -> float:
        """Seconds to wait before the next try; raises `error` where none can help soon, or none is left."""
        self._num_failures += 1
        can_help = error.retryable and not isinstance(error, QuotaExceededError)
        if not can_help or self._num_failures >= _NUM_TRIES:
            raise error
        pause = self._first_pause_seconds * 2.0 ** (self._num_failures - 1)
        asked = retry_after_seconds(error) if "retry_after_seconds" in error.metadata else 0.0
        return min(max(asked, pause), _LONGEST_PAUSE_SECONDS)

    def renew(self) -> None:
        """Something arrived: the budget is whole again."""
        self._num_failures = 0
