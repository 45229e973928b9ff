"""What a step tells comes while it works, its result last; who closes it ends it."""

from __future__ import annotations

import asyncio

import pytest

from services.orchestrator.stages import Tell, told_while
from uniaudio.errors import UnavailableError


async def test_what_is_told_comes_before_the_result() -> None:
    gate = asyncio.Event()

    async def work(tell: Tell) -> int:
        tell("one")
        await gate.wait()
        tell("two")
        return 3

    items = told_while(work)
    assert await anext(items) == "one"
    gate.set()
    assert [item async for item in items] == ["two", 3]


async def test_a_failure_comes_after_what_was_told() -> None:
    async def work(tell: Tell) -> int:
        tell("one")
        raise UnavailableError("away")

    items = told_while(work)
    assert await anext(items) == "one"
    with pytest.raises(UnavailableError, match="away"):
        await anext(items)


async def test_closing_it_ends_the_work() -> None:
    ended = False

    async def work(tell: Tell) -> int:
        nonlocal ended
        tell("one")
        try:
            await asyncio.Event().wait()
        finally:
            ended = True
        return 0

    items = told_while(work)
    assert await anext(items) == "one"
    await items.aclose()
    assert ended
