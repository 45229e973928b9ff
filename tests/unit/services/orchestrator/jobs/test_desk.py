from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from services.orchestrator.jobs.desk import JobDesk
from services.orchestrator.jobs.transitions import ItemKey
from tests.jobs_house import JobsHouse, file_url
from tests.memory_store import MemoryStore


class Hanging:
    """A broker that takes a message and says nothing."""

    def __init__(self) -> None:
        self.keys: list[ItemKey] = []

    async def send(self, keys: Sequence[ItemKey]) -> None:
        self.keys += keys
        await asyncio.Event().wait()

    async def close(self) -> None: ...


async def test_a_job_that_is_stored_is_answered_whatever_the_broker_does(tmp_path: Path) -> None:
    house, broker = JobsHouse(file_url(tmp_path)), Hanging()
    desk = JobDesk(house.jobs, house.recordings, MemoryStore(), broker)
    async with asyncio.timeout(20):
        job = await desk.create("ada", "one", house.spec(items=2))
    assert broker.keys == [(job.job_id, 0), (job.job_id, 1)]
    assert (await desk.get("ada", job.job_id)).counts.queued == 2
    house.close()
