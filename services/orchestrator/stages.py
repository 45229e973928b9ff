"""What every pipeline does around its steps: spans, several steps at once, and what a step tells meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry.trace import Span, Status, StatusCode

from uniaudio.runtime.telemetry import get_tracer

T = TypeVar("T")
Tell = Callable[[str], None]
"""Takes the next characters of a text that is being written."""


@contextmanager
def stage(name: str, **attributes: str | int | float | bool) -> Iterator[Span]:
    """A span around a step that yields along the way; a child of the running call's.

    It does not become current: a generator may be closed from another context than it ran in.
    """
    current = get_tracer().start_span(name, attributes=attributes)
    try:
        yield current
    except Exception as error:
        current.record_exception(error)
        current.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        current.end()


async def all_of(*works: Coroutine[Any, Any, T]) -> list[T]:
    """The results of all, run at once; the first failure cancels the others and is raised itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def told_while(work: Callable[[Tell], Coroutine[Any, Any, T]]) -> AsyncGenerator[str | T, None]:
    """What `work` tells, while it tells it, and its result; closing it cancels the work."""
    told: asyncio.Queue[str | None] = asyncio.Queue()  # bounded by what the work writes: a text
    task = asyncio.create_task(work(told.put_nowait))
    task.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (text := await told.get()) is not None:
            yield text
        yield task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
