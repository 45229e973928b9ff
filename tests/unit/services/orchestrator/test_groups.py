"""Patches come alone while sound is waited for and together while some is ahead; none is lost, none is kept waiting."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from services.orchestrator.domain import Floats
from services.orchestrator.groups import Groups, Lead, Room

ALL = Room(math.inf, math.inf)


def patch(number: int) -> Floats:
    """A tenth of a second."""
    return np.full((5, 2), number, np.float32)


async def made(numbers: int, gates: dict[int, asyncio.Event] | None = None) -> AsyncGenerator[Floats, None]:
    """Patches in order; one with a gate is made when it opens."""
    for number in range(numbers):
        if gates and number in gates:
            await gates[number].wait()
        yield patch(number)


async def sizes(groups: Groups) -> list[int]:
    """How many patches came at once; what they are is checked."""
    found = [group async for group in groups]
    if found:
        np.testing.assert_array_equal(np.concatenate(found)[::5, 0], np.arange(sum(map(len, found)) // 5))
    return [len(group) // 5 for group in found]


async def test_patches_come_alone_without_a_lead() -> None:
    assert await sizes(Groups(made(4), Lead().room)) == [1, 1, 1, 1]


@pytest.mark.parametrize(("seconds", "together"), [(0.0, 1), (0.1, 1), (0.25, 3), (0.4, 4), (2.5, 8)])
async def test_no_more_is_gathered_than_there_is_room_for(seconds: float, together: int) -> None:
    assert await sizes(Groups(made(2 * together + 1), lambda: Room(seconds, 60.0))) == [together, together, 1]


async def test_groups_are_full_where_nobody_waits() -> None:
    assert await sizes(Groups(made(19), lambda: ALL)) == [8, 8, 3]
    assert await sizes(Groups(made(0), lambda: ALL)) == []


async def test_a_group_does_not_wait_longer_than_its_patience() -> None:
    gate = asyncio.Event()
    groups = Groups(made(3, {2: gate}), lambda: Room(0.3, 0.3))
    async with asyncio.timeout(5):
        assert len(await anext(groups)) // 5 == 2
    gate.set()
    assert len(await anext(groups)) // 5 == 1
    with pytest.raises(StopAsyncIteration):
        await anext(groups)


async def test_what_fails_comes_out() -> None:
    async def failing() -> AsyncGenerator[Floats, None]:
        yield patch(0)
        raise ValueError("no more")

    groups = Groups(failing(), Lead().room)
    assert len(await anext(groups)) == 5
    with pytest.raises(ValueError, match="no more"):
        await anext(groups)


async def test_closing_gives_up_what_is_read() -> None:
    patches = made(1, {0: asyncio.Event()})
    groups = Groups(patches, lambda: ALL)
    waiting = asyncio.create_task(anext(groups))
    await asyncio.sleep(0)
    waiting.cancel()
    await groups.aclose()
    await patches.aclose()  # which a patch still being read would refuse
    await asyncio.gather(waiting, return_exceptions=True)


def test_the_lead_is_what_left_less_what_was_heard() -> None:
    now = [10.0]
    lead = Lead(lambda: now[0])
    assert lead.seconds() == 0.0
    lead.give(1.0)
    now[0] = 10.25
    lead.give(0.5)
    assert lead.seconds() == pytest.approx(1.25)
    assert lead.room() == Room(pytest.approx(0.625), pytest.approx(0.625))
    now[0] = 12.0
    assert lead.seconds() == pytest.approx(-0.5)
    assert lead.room() == Room(0.0, 0.0)
