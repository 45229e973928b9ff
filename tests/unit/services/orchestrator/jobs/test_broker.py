from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from celery import Celery
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from services.orchestrator.jobs.broker import TASK, CeleryDispatcher, make_app
from uniaudio.errors import UnavailableError


@pytest.fixture
def app() -> Iterator[Celery]:
    app = make_app("memory://")
    yield app
    app.close()


@pytest.fixture
async def dispatcher(app: Celery) -> AsyncIterator[CeleryDispatcher]:
    dispatcher = CeleryDispatcher(app)
    yield dispatcher
    await dispatcher.close()


def messages(app: Celery) -> list[tuple[list[list[object]], dict[str, str]]]:
    """What lies in the queue: items and trace of each message."""
    found = []
    with app.connection_for_read() as connection, connection.SimpleQueue("uniaudio-jobs") as queue:
        while queue.qsize():
            message = queue.get(block=False)
            assert message.headers["task"] == TASK
            (items, context), _, _ = json.loads(message.body)
            found.append((items, context))
            message.ack()
    return found


async def test_a_message_carries_ids_and_nothing_else(app: Celery, dispatcher: CeleryDispatcher) -> None:
    await dispatcher.send([("a" * 32, 0), ("a" * 32, 1)])
    assert messages(app) == [([["a" * 32, 0], ["a" * 32, 1]], {})]


async def test_what_is_sent_together_goes_together(app: Celery, dispatcher: CeleryDispatcher) -> None:
    await asyncio.gather(*(dispatcher.send([(f"{n:032x}", 0)]) for n in range(50)))
    sent = messages(app)
    assert sorted(item[0] for items, _ in sent for item in items) == [f"{n:032x}" for n in range(50)]
    assert len(sent) <= 6
    assert max(len(items) for items, _ in sent) <= 16


async def test_items_of_different_traces_keep_theirs(app: Celery, dispatcher: CeleryDispatcher) -> None:
    tracer = TracerProvider().get_tracer("test")

    async def send(number: int) -> str:
        with tracer.start_as_current_span("create") as span:
            await dispatcher.send([(f"{number:032x}", 0)])
            return trace.format_trace_id(span.get_span_context().trace_id)

    traces = await asyncio.gather(*(send(number) for number in range(3)))
    found = {items[0][0]: context["traceparent"].split("-")[1] for items, context in messages(app)}
    assert found == {f"{number:032x}": trace_id for number, trace_id in enumerate(traces)}


async def test_a_broker_that_is_away_is_told() -> None:
    dispatcher = CeleryDispatcher(make_app("redis://127.0.0.1:1/0"))
    with pytest.raises(UnavailableError, match="broker") as caught:
        await dispatcher.send([("a" * 32, 0)])
    assert caught.value.reason == "BROKER_AWAY"
    with pytest.raises(UnavailableError, match="a moment ago"):  # nobody waits for it again
        await dispatcher.send([("a" * 32, 0)])
    await dispatcher.close()
