"""The bounded door: so many requests run, so many wait, one more is told to come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from services.orchestrator.load import RecentSums
from uniaudio.errors import DeadlineError, QueueFullError
from uniaudio.runtime.calls import remaining_seconds

AudioSeconds = Callable[[], float]


def _none() -> float:
    return 0.0


class Admission:
    """At most `max_running` hold a place at once, at most `max_waiting` wait for one, first come first served."""

    def __init__(self, *, max_running: int, max_waiting: int, max_wait_seconds: float) -> None:
        self._places = asyncio.Semaphore(max_running)
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._num_waiting = 0
        self._num_running = 0
        self._waiting_audio_seconds = 0.0
        self._waits = RecentSums()

    @property
    def num_running(self) -> int:
        """How many hold a place."""
        return self._num_running

    @property
    def num_waiting(self) -> int:
        """How many wait for one."""
        return self._num_waiting

    @property
    def waiting_audio_seconds(self) -> float:
        """Seconds of audio that those are about."""
        return self._waiting_audio_seconds

    @property
    def max_running(self) -> int:
        """How many may hold a place at once."""
        return self._max_running

    @property
    def queue_seconds(self) -> float | None:
        """Mean wait of those that got a place within the last minute; None where nobody did."""
        return self._waits.ratio()

    @asynccontextmanager
    async def place(self, audio_seconds: AudioSeconds = _none) -> AsyncGenerator[None, None]:
        """Holds a place. Raises QueueFullError at once, or DeadlineError after waiting in vain.

        `audio_seconds`, the audio that the request is about, is asked for only where it has to wait.
        """
        asked = time.monotonic()
        await self._enter(audio_seconds)
        self._waits.add(time.monotonic() - asked, 1)
        self._num_running += 1
        try:
            yield
        finally:
            self._num_running -= 1
            self._places.release()

    async def _enter(self, audio_seconds: AudioSeconds) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        if self._num_waiting >= self._max_waiting:
            raise QueueFullError(
                f"{self._num_waiting} requests wait already behind {self._max_running} running ones, the limit is "
                f"{self._max_waiting}; try again in a second",
                value=self._num_waiting,
                limit=self._max_waiting,
                remedy="try again later",
                retry_after_seconds=1.0,
            )
        seconds, waiting_seconds = remaining_seconds(self._max_wait_seconds), audio_seconds()
        self._num_waiting += 1
        self._waiting_audio_seconds += waiting_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError as error:
            raise DeadlineError(
                f"the request waited {seconds:.1f} s for its turn, the limit it had; try again or allow more time",
                value=f"{seconds:.1f} s",
                limit=f"{seconds:.1f} s",
                remedy="try again, or set a later deadline",
            ) from error
        finally:
            self._num_waiting -= 1
            # Sums of floats drift: nobody waits for exactly nothing.
            left = self._waiting_audio_seconds - waiting_seconds
            self._waiting_audio_seconds = left if self._num_waiting else 0.0
