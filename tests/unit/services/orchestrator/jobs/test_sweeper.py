from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from services.orchestrator.jobs import sweeper as module
from services.orchestrator.jobs.model import State
from services.orchestrator.jobs.sweeper import Sweeper
from services.orchestrator.jobs.transitions import ItemKey
from tests.jobs_house import JobsHouse, file_url, success
from uniaudio.errors import UnavailableError
from uniaudio.runtime.folder_store import FolderStore


class Sent:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.keys: list[ItemKey] = []
        self.error: UnavailableError | None = None

    async def send(self, keys: Sequence[ItemKey]) -> None:
        if self.error is not None:
            raise self.error
        self.keys += keys

    async def close(self) -> None: ...


class Watch:
    """A process's own clock, as a test turns it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(module, "time", watch)
    return watch


@pytest.fixture
def house(tmp_path: Path):
    house = JobsHouse(file_url(tmp_path))
    yield house
    house.close()


def make(house: JobsHouse, folder: Path) -> tuple[Sweeper, Sent, FolderStore]:
    sent, store = Sent(), FolderStore(folder / "objects")
    return Sweeper(house.sweep, house.recordings, store, sent, lease_seconds=30), sent, store


async def look_on(sweeper: Sweeper, house: JobsHouse, watch: Watch, seconds: float) -> None:
    for _ in range(int(seconds / 10)):
        watch.now += 10
        house.clock.now += 10
        await sweeper.sweep()


async def test_holders_are_given_a_lease_after_every_gap(
    house: JobsHouse, watch: Watch, tmp_path: Path
) -> None:
    sweeper, sent, _ = make(house, tmp_path)
    job_id = house.create()
    house.claim(job_id)
    house.clock.now += 100
    await sweeper.sweep()
    assert house.jobs.item("ada", job_id, 0).state is State.RUNNING
    await look_on(sweeper, house, watch, 30)
    assert house.jobs.item("ada", job_id, 0).state is State.QUEUED
    await look_on(sweeper, house, watch, 10)
    assert sent.keys == [(job_id, 0)]
    house.claim(job_id, alone=True)
    house.clock.now += 3_600
    await look_on(sweeper, house, watch, 20)
    assert house.jobs.item("ada", job_id, 0).state is State.RUNNING
    await look_on(sweeper, house, watch, 20)
    assert house.jobs.item("ada", job_id, 0).state is State.QUEUED


async def test_an_outage_of_the_broker_makes_no_item_wait_longer(
    house: JobsHouse, watch: Watch, tmp_path: Path
) -> None:
    sweeper, sent, _ = make(house, tmp_path)
    job_id = house.create()
    house.clock.now += 31
    sent.error = UnavailableError("away")
    for _ in range(20):
        await sweeper.sweep()
        house.clock.now += 3
    sent.error = None
    await sweeper.sweep()
    assert sent.keys == [(job_id, 0)]
    house.clock.now += 59  # a message that is lost counts, and doubles the time
    await sweeper.sweep()
    assert len(sent.keys) == 1
    house.clock.now += 2
    await sweeper.sweep()
    assert len(sent.keys) == 2


async def test_an_outage_of_the_broker_hinders_nothing_else(
    house: JobsHouse, watch: Watch, tmp_path: Path
) -> None:
    sweeper, sent, _ = make(house, tmp_path)
    sent.error = UnavailableError("away")
    house.create(request_id="waits")
    job_id = house.create(request_id="runs")
    house.claim(job_id)
    house.clock.now += 100
    await look_on(sweeper, house, watch, 60)
    assert house.jobs.item("ada", job_id, 0).state is State.QUEUED
    assert sent.keys == []


async def test_objects_go_before_what_names_them(house: JobsHouse, watch: Watch, tmp_path: Path) -> None:
    sweeper, _, store = make(house, tmp_path)
    job_id = house.create()
    house.work.end([success(house.claim(job_id))])
    store.create(f"jobs/{job_id}/0/results/x", b"sound")
    recording = house.recordings.find(house.recording())
    store.create(recording.object_key, b"RIFF")
    house.jobs.delete("ada", job_id)
    delete = store.delete_folder

    def away(folder: str) -> None:
        raise UnavailableError("the store is away")

    store.delete_folder = away  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        sweeper.remove()
    store.delete_folder = delete  # type: ignore[method-assign]
    house.clock.now += 2 * 86_400
    sweeper.remove()
    assert store.list_folder("jobs") == store.list_folder("recordings") == []
    with house.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT num_bytes FROM usage").scalar_one() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM items").scalar_one() == 0
