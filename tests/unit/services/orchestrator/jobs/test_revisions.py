"""One look for all watchers, none where nobody watches, and everybody hears what concerns them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from services.orchestrator.jobs.revisions import Revisions
from uniaudio.errors import UnavailableError


class Table:
    """Revisions as a test sets them, and what was asked for."""

    def __init__(self, **revisions: int) -> None:
        self.revisions = revisions
        self.asked: list[list[str]] = []
        self.error: UnavailableError | None = None

    def read(self, job_ids: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(list(job_ids))
        if self.error is not None:
            raise self.error
        return {job_id: self.revisions[job_id] for job_id in job_ids if job_id in self.revisions}


async def test_each_hears_of_its_own_job() -> None:
    table = Table(a=1, b=1)
    revisions = Revisions(table.read, every_seconds=0.01)
    first, second = (asyncio.create_task(revisions.beyond(job_id, 1)) for job_id in "ab")
    while len(table.asked) < 3:
        await asyncio.sleep(0.01)
    assert not first.done()
    assert not second.done()
    table.revisions["a"] = 2
    assert await first is True
    assert not second.done()
    del table.revisions["b"]
    assert await second is False


async def test_many_watchers_are_one_look() -> None:
    table = Table(a=1)
    revisions = Revisions(table.read, every_seconds=0.01)
    watching = [asyncio.create_task(revisions.beyond("a", 1)) for _ in range(50)]
    while not table.asked:
        await asyncio.sleep(0.01)
    assert table.asked[0] == ["a"]
    table.revisions["a"] = 2
    assert await asyncio.gather(*watching) == [True] * 50


async def test_nobody_watching_is_no_look() -> None:
    table = Table(a=1)
    revisions = Revisions(table.read, every_seconds=0.01)
    watching = asyncio.create_task(revisions.beyond("a", 1))
    while not table.asked:
        await asyncio.sleep(0.01)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    while len(asyncio.all_tasks()) > 1:  # the looks end by themselves
        await asyncio.sleep(0.01)
    table.revisions["a"] = 2
    assert await revisions.beyond("a", 1) is True


async def test_who_claims_to_have_seen_more_than_there_is_hears_at_once() -> None:
    assert await Revisions(Table(a=1).read, every_seconds=0.01).beyond("a", 7) is True


async def test_a_database_that_is_away_is_told_to_all_and_looked_at_again() -> None:
    table = Table(a=1)
    table.error = UnavailableError("away", value="away", limit="there", remedy="wait")
    revisions = Revisions(table.read, every_seconds=0.01)
    failed = await asyncio.gather(*(revisions.beyond("a", 1) for _ in range(3)), return_exceptions=True)
    assert failed == [table.error] * 3
    table.error = None
    table.revisions["a"] = 2
    assert await revisions.beyond("a", 1) is True
