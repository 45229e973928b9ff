"""How often what fails may be started again, and how soon."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from uniaudio.errors import StartupError

_WINDOW_SECONDS = 600.0
_MAX_WAIT_SECONDS = 10.0


class RestartBudget:
    """Counts restarts of `what` within ten minutes."""

    def __init__(self, what: str, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._most, self._clock = what, most, clock
        self._taken: deque[float] = deque()

    @property
    def is_untouched(self) -> bool:
        """Whether nothing had to be started again lately."""
        return not self._taken

    def take(self, cause: str) -> float:
        """Seconds to wait before the next start; StartupError where there were too many."""
        now = self._clock()
        while self._taken and now - self._taken[0] > _WINDOW_SECONDS:
            self._taken.popleft()
        if len(self._taken) >= self._most:
            raise StartupError(
                f"{self._what} failed {len(self._taken) + 1} times within {_WINDOW_SECONDS / 60:g} minutes, "
                f"lately because {cause}; its log has more"
            )
        # The first restart is immediate: one crash is bad luck.
        wait = min(_MAX_WAIT_SECONDS, float(2 ** len(self._taken) - 1))
        self._taken.append(now)
        return wait
