"""How items come to workers. A message may be lost, come twice or late: the table decides, not the message."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

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
        self._queue: asyncio.Queue[tuple[ItemKey, Context]] = asyncio.Queue(_MAX_WAITING)
        self._task: asyncio.Task[None] | None = None

    async def send(self, keys: Sequence[ItemKey]) -> None:
        """See Dispatcher."""
        if self._task is None:
            # In a context of its own: else all items ever would have the deadline and the trace of the call
            # that happened to be the first.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        trace = otel_context.get_current()
        for key in keys:
            if self._queue.full():
                break
            self._queue.put_nowait((key, trace))

    async def close(self) -> None:
        """See Dispatcher."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            entries = [await self._queue.get()]
            while len(entries) < _AT_ONCE and not self._queue.empty():
                entries.append(self._queue.get_nowait())
            of_traces: dict[tuple[int, int], tuple[Context, list[ItemKey]]] = {}
            for key, trace in entries:
                span = get_current_span(trace).get_span_context()
                of_traces.setdefault((span.trace_id, span.span_id), (trace, []))[1].append(key)
            for trace, keys in of_traces.values():
                await self._take_up(trace, keys)

    async def _take_up(self, trace: Context, keys: Sequence[ItemKey]) -> None:
        token = otel_context.attach(trace)
        try:
            await self._accept(keys)
        except Exception as error:  # noqa: BLE001 - the sweeper sends them again; others must not wait for that
            log.error("items could not be taken up", error=type(error).__name__, items=len(keys))
        finally:
            otel_context.detach(token)
