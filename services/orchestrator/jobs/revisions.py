"""Watchers hear of changes: one look at the database now and then for all of a process, however many they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from uniaudio.errors import UniaudioError

_EVERY_SECONDS = 0.2

Read = Callable[[Sequence[str]], Mapping[str, int]]
"""The revisions of those jobs that are there; called in a worker thread."""


@dataclass(eq=False)
class _Waiter:
    job_id: str
    seen: int
    is_there: asyncio.Future[bool]


class Revisions:
    """Looks while anybody waits, and not otherwise. Who waits is bounded by who lets watchers in."""

    def __init__(self, read: Read, *, every_seconds: float = _EVERY_SECONDS) -> None:
        self._read = read
        self._every_seconds = every_seconds
        self._waiters: set[_Waiter] = set()
        self._task: asyncio.Task[None] | None = None

    async def beyond(self, job_id: str, seen: int) -> bool:
        """True once the job's revision is another than `seen`, False where it is gone; raises what reading raised."""
        waiter = _Waiter(job_id, seen, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        if self._task is None:
            self._task = asyncio.create_task(self._look())
        try:
            return await waiter.is_there
        finally:
            self._waiters.discard(waiter)

    async def _look(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._every_seconds)
                waiters = list(self._waiters)
                if not waiters:
                    return
                try:
                    found = await asyncio.to_thread(self._read, sorted({one.job_id for one in waiters}))
                except UniaudioError as error:
                    self._fail(waiters, error)
                    continue
                for waiter in waiters:
                    revision = found.get(waiter.job_id)
                    if revision != waiter.seen and not waiter.is_there.done():
                        waiter.is_there.set_result(revision is not None)
        finally:
            self._task = None

    def _fail(self, waiters: Sequence[_Waiter], error: UniaudioError) -> None:
        for waiter in waiters:
            if not waiter.is_there.done():
                waiter.is_there.set_exception(error)
