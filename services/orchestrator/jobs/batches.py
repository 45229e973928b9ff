"""Many small calls as few large ones: while one transaction runs, those that come meanwhile wait for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")


class Batcher(Generic[ArgumentT, ResultT]):
    """Calls `work(arguments)` in a thread, one call at a time, and hands each caller its own result.

    A result that is an exception is raised at its caller; an exception of `work` at all of that call. Who
    waits is bounded by who lets callers in, not here.
    """

    def __init__(
        self,
        work: Callable[[Sequence[ArgumentT]], Sequence[ResultT | Exception]],
        *,
        max_size: int = 64,
    ) -> None:
        self._work = work
        self._max_size = max_size
        self._waiting: deque[tuple[ArgumentT, asyncio.Future[ResultT]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, argument: ArgumentT) -> ResultT:
        """The result for one argument."""
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((argument, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._max_size)
                batch = [self._waiting.popleft() for _ in range(size)]
                await self._do(batch)
        finally:
            self._task = None

    async def _do(self, batch: list[tuple[ArgumentT, asyncio.Future[ResultT]]]) -> None:
        try:
            results = await asyncio.to_thread(self._work, [argument for argument, _ in batch])
        except Exception as error:  # noqa: BLE001 - raised at every caller
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # its caller went away
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
