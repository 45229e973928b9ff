"""So many run, so many wait, one more is told to come back; places are given back whatever happens."""

from __future__ import annotations

import asyncio

import pytest

from services.orchestrator.admission import Admission
from uniaudio.errors import DeadlineError, QueueFullError


async def test_the_bounds_hold_and_places_come_free() -> None:
    door = Admission(max_running=2, max_waiting=1, max_wait_seconds=10)
    release = asyncio.Event()
    inside: list[int] = []

    async def visit(number: int) -> None:
        async with door.place():
            inside.append(number)
            await release.wait()

    visits = [asyncio.create_task(visit(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    assert inside == [0, 1]
    with pytest.raises(QueueFullError) as refused:
        await visit(3)
    assert refused.value.metadata == {
        "value": "1",
        "limit": "1",
        "remedy": "try again later",
        "retry_after_seconds": "1.0",
    }
    release.set()
    await asyncio.gather(*visits)
    assert inside == [0, 1, 2]
    await visit(4)


async def test_waiting_in_vain_ends() -> None:
    door = Admission(max_running=1, max_waiting=1, max_wait_seconds=0.01)
    async with door.place():
        with pytest.raises(DeadlineError, match=r"waited 0\.0 s"):
            async with door.place():
                pass
    async with door.place():
        pass


async def test_who_leaves_the_queue_takes_no_place_along() -> None:
    door = Admission(max_running=1, max_waiting=1, max_wait_seconds=10)
    async with door.place():
        waiting = asyncio.create_task(door.place().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with door.place():
        pass
    with pytest.raises(ZeroDivisionError):
        async with door.place():
            raise ZeroDivisionError
    async with door.place():
        pass
