from __future__ import annotations

import asyncio
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from services.orchestrator.jobs.dispatch import EmbeddedDispatcher
from services.orchestrator.jobs.transitions import ItemKey
from uniaudio.runtime import calls


class Taken:
    """What a worker was given, in what surroundings."""

    def __init__(self) -> None:
        self.keys: list[ItemKey] = []
        self.seconds: list[float] = []
        self.traces: list[int] = []

    async def accept(self, keys: Sequence[ItemKey]) -> None:
        self.keys += keys
        self.seconds += [calls.remaining_seconds(600)] * len(keys)
        self.traces += [trace.get_current_span().get_span_context().trace_id] * len(keys)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.keys) < count:
                await asyncio.sleep(0)


async def test_items_outlive_the_call_that_asked_for_them() -> None:
    taken = Taken()
    dispatcher = EmbeddedDispatcher(taken.accept)

    async def call(key: ItemKey, seconds: float) -> None:
        calls._deadline.set(asyncio.get_running_loop().time() + seconds)
        await dispatcher.send([key])

    await asyncio.create_task(call(("a", 0), -1.0))
    await asyncio.create_task(call(("b", 0), -1.0))
    await taken.until(2)
    assert taken.seconds == [600, 600]
    await dispatcher.close()


async def test_each_item_goes_on_with_the_trace_of_its_own_call() -> None:
    taken, tracer = Taken(), TracerProvider().get_tracer("test")
    dispatcher = EmbeddedDispatcher(taken.accept)
    sent = []
    for name in "ab":
        with tracer.start_as_current_span(name) as span:
            sent.append(span.get_span_context().trace_id)
            await dispatcher.send([(name, 0), (name, 1)])
    await taken.until(4)
    assert taken.keys == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert taken.traces == [sent[0], sent[0], sent[1], sent[1]]
    await dispatcher.close()
