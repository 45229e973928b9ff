"""How items come to workers. A message may be lost, come twice or late: the table decides, not the message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from services.orchestrator.jobs.transitions import ItemKey
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

_MAX_WAITING = 10_000
_AT_ONCE = 16


class Dispatcher(Protocol):
    """Tells workers of items that can be claimed."""

    async def send(self, keys: Sequence[ItemKey]) -> None:
        """Returns soon. Raises UnavailableError where the broker is away: the sweeper sends again later."""
        ...

    async def close(self) -> None:
        """Sends nothing more."""
        ...


class EmbeddedDispatcher:
    """Hands items to a worker in the same process, in order; what does not fit waits for the sweeper."""

    def __init__(self, accept: Callable[[Sequence[ItemKey]], Coroutine[Any, Any, None]]) -> None:
        self._accept = accept
        self._queue: asyncio.Queue[ItemKey] = asyncio.Queue(_MAX_WAITING)
        self._task: asyncio.Task[None] | None = None

    async def send(self, keys: Sequence[ItemKey]) -> None:
        """See Dispatcher."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        for key in keys:
            if self._queue.full():
                break
            self._queue.put_nowait(key)

    async def close(self) -> None:
        """See Dispatcher."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            keys = [await self._queue.get()]
            while len(keys) < _AT_ONCE and not self._queue.empty():
                keys.append(self._queue.get_nowait())
            try:
                await self._accept(keys)
            except Exception as error:  # noqa: BLE001 - the sweeper sends them again; others must not wait for that
                log.error("items could not be taken up", error=type(error).__name__, items=len(keys))
