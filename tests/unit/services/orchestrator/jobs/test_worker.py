from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from services.orchestrator.jobs.limits import Patience
from services.orchestrator.jobs.model import Progress, State
from services.orchestrator.jobs.work import Claim, Succeeded
from services.orchestrator.jobs.worker import EndStep, Tell, Worker
from tests.jobs_house import JobsHouse, file_url, success
from uniaudio.errors import InvalidAudioError, StoreError, UnavailableError, UniaudioError

PATIENCE = Patience(lease_seconds=0.6, max_attempts=4, max_crashes=3)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[JobsHouse]:
    house = JobsHouse(file_url(tmp_path), patience=PATIENCE)
    yield house
    house.close()


class Bench:
    """Does items as a test says, and remembers."""

    def __init__(self, house: JobsHouse, **options: Any) -> None:
        self.gate = asyncio.Event()
        self.begun: list[Claim] = []
        self.most_at_once = self.at_once = 0
        self.error: Exception | None = None
        self.worker = Worker(house.work, self.process, holder="w", patience=PATIENCE, **options)

    async def process(self, claim: Claim, tell: Tell, end_step: EndStep) -> Succeeded:
        self.begun.append(claim)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            tell(Progress(stage="speaking", fraction=0.5))
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return success(claim)
        finally:
            self.at_once -= 1


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def state(house: JobsHouse, job_id: str, index: int = 0) -> State:
    return house.jobs.item("ada", job_id, index).state


async def test_many_items_run_a_few_at_once_and_each_once(house: JobsHouse) -> None:
    bench = Bench(house, max_running=3)
    bench.gate.set()
    job_id = house.create(items=20)
    keys = [(job_id, index) for index in range(20)]
    await asyncio.gather(bench.worker.accept(keys), bench.worker.accept(keys))
    await until(lambda: house.jobs.get("ada", job_id).state.is_final)
    assert house.jobs.get("ada", job_id).counts.succeeded == 20
    assert len(bench.begun) == 20
    assert bench.most_at_once <= 3
    await bench.worker.stop(5)


@pytest.mark.parametrize("error", [UnavailableError("away"), StoreError("full", reason="STORE_FULL")])
async def test_faults_that_retrying_cures_are_retried_and_others_are_not(
    house: JobsHouse, error: UniaudioError
) -> None:
    bench = Bench(house)
    bench.gate.set()
    job_id = house.create(items=2)
    bench.error = error
    await bench.worker.accept([(job_id, 0)])
    await until(lambda: house.jobs.item("ada", job_id, 0).failure is not None)
    item = house.jobs.item("ada", job_id, 0)
    assert (item.state, item.failure.reason) == (State.QUEUED, error.reason)
    assert 1.0 <= item.retry_at - house.clock.now <= 2.0
    bench.error = InvalidAudioError("broken")
    await bench.worker.accept([(job_id, 1)])
    await until(lambda: state(house, job_id, 1) is State.FAILED)
    await bench.worker.stop(5)


async def test_what_nobody_foresaw_is_told_without_its_words(house: JobsHouse) -> None:
    bench = Bench(house)
    bench.gate.set()
    bench.error = RuntimeError("the caller said: my secret")
    job_id = house.create()
    await bench.worker.accept([(job_id, 0)])
    await until(lambda: state(house, job_id) is State.FAILED)
    failure = house.jobs.item("ada", job_id, 0).failure
    assert isinstance(failure.as_error(), UniaudioError)
    assert "RuntimeError" in failure.message
    assert "secret" not in failure.message
    await bench.worker.stop(5)


async def test_leases_are_kept_and_progress_is_told(house: JobsHouse) -> None:
    bench = Bench(house)
    job_id = house.create()
    await bench.worker.accept([(job_id, 0)])
    await until(lambda: house.jobs.item("ada", job_id, 0).progress.fraction == 0.5)
    for _ in range(3):  # the clock stands still between two renewals, so each one shows
        house.clock.now += 0.5
        before = house.clock.now
        await until(lambda before=before: _leased_until(house) >= before + PATIENCE.lease_seconds)
    bench.gate.set()
    await until(lambda: state(house, job_id) is State.SUCCEEDED)
    await bench.worker.stop(5)


def _leased_until(house: JobsHouse) -> float:
    with house.database.reading() as connection:
        return float(connection.exec_driver_sql("SELECT leased_until FROM items").scalar_one())


async def test_a_cancelled_item_is_left_at_once(house: JobsHouse) -> None:
    bench = Bench(house)
    job_id = house.create()
    await bench.worker.accept([(job_id, 0)])
    house.jobs.cancel("ada", job_id)
    await until(lambda: bench.worker.num_running == 0)
    assert state(house, job_id) is State.CANCELLED
    await bench.worker.stop(5)


async def test_a_worker_that_stops_gives_back_what_it_did_not_end(house: JobsHouse) -> None:
    bench = Bench(house, max_running=2)
    job_id = house.create(items=4)
    accepting = asyncio.create_task(bench.worker.accept([(job_id, index) for index in range(4)]))
    await until(lambda: len(bench.begun) == 2)
    await bench.worker.stop(0.05)
    await accepting
    items = house.jobs.get("ada", job_id).items
    assert [item.state for item in items] == [State.QUEUED] * 4
    assert [item.num_attempts for item in items] == [0] * 4
    house.clock.now += 0.1
    assert house.sweep.due(10)[:2] == [(job_id, 0), (job_id, 1)]


async def test_suspects_run_alone(house: JobsHouse) -> None:
    job_id = house.create(items=4)
    for index in (1, 2):
        house.claim(job_id, index)
    house.clock.now += 10
    assert house.sweep.reclaim(10, 0.0) == 2
    house.clock.now += 10
    bench = Bench(house, max_running=4)
    await bench.worker.accept([(job_id, index) for index in range(4)])
    await until(lambda: bench.at_once == 2)
    assert {claim.key[1] for claim in bench.begun} == {0, 3}
    bench.most_at_once = 0
    bench.gate.set()
    await until(lambda: house.jobs.get("ada", job_id).state.is_final)
    assert house.jobs.get("ada", job_id).counts.succeeded == 4
    assert bench.most_at_once <= 1
    await bench.worker.stop(5)


async def test_a_result_waits_for_a_database_that_is_away(house: JobsHouse) -> None:
    bench = Bench(house)
    job_id = house.create()
    end, tries = house.work.end, []

    def away_twice(outcomes: Any) -> list[bool]:
        tries.append(len(outcomes))
        if len(tries) < 3:
            raise UnavailableError("the database restarts")
        return end(outcomes)

    bench.worker._end._work = away_twice
    bench.gate.set()
    await bench.worker.accept([(job_id, 0)])
    await until(lambda: state(house, job_id) is State.SUCCEEDED)
    assert tries == [1, 1, 1]
    await bench.worker.stop(5)
