"""Jobs over a real PostgreSQL, a real Redis and worker processes that are killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from services.orchestrator import migrate as migrate_command
from services.orchestrator.domain import AudioBytes, EditOrder, Recording, Sampling
from services.orchestrator.edit import Editor
from services.orchestrator.jobs.broker import CeleryDispatcher, make_app
from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.desk import JobDesk
from services.orchestrator.jobs.migrate import check_migrated, migrate
from services.orchestrator.jobs.model import EditStep, Item, ItemSpec, JobSpec, State
from services.orchestrator.jobs.parts import brokered, open_parts
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.jobs.tables import METADATA
from services.orchestrator.jobs.work import Claim, WorkStore
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, FakeTools, tone
from tests.jobs_house import success
from tests.jobs_worker import speaking
from tests.postgres_server import PostgresServer
from tests.redis_server import redis_server
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import StartupError

ROOT = Path(__file__).resolve().parents[2]
WAV = AudioFormat(encoding=AudioEncoding.WAV)
SPOKEN = encode_audio(tone(1.0), WAV)
SAD = "make it sound sad"


@dataclass
class Cluster:
    """A database, a broker that can be away, an object store, and workers."""

    postgres: PostgresServer
    folder: Path
    broker_port: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "UNIAUDIO_JOBS_DATABASE": self.postgres.url,
            "UNIAUDIO_JOBS_STORE": str(self.folder / "objects"),
            "UNIAUDIO_JOBS_BROKER": f"redis://127.0.0.1:{self.broker_port}/0",
            "UNIAUDIO_JOBS_LEASE_SECONDS": "2",
            "UNIAUDIO_JOBS_MAX_RUNNING": "4",
            "UNIAUDIO_JOBS_SWEEP_SECONDS": "0.1",
            "SLOW_PATCH_SECONDS": "0.03",
            "RESUMED_FILE": str(self.folder / "resumed"),
        }

    @property
    def settings(self) -> JobsSettings:
        return JobsSettings(
            database=self.postgres.url,
            object_store=str(self.folder / "objects"),
            broker=f"redis://127.0.0.1:{self.broker_port}/0",
            lease_seconds=2.0,
            sweep_seconds=0.1,
        )

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        environ = {**os.environ, **self.environment, "OMP_NUM_THREADS": "1"}
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs_worker"], cwd=ROOT, env=environ, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                assert process.wait(timeout=40) in (0, -9), (self.folder / "worker.log").read_text()
            finally:
                process.kill()

    def num_pieces(self, job_id: str) -> int:
        """Pieces of a job's generations that are kept."""
        return len(list((self.folder / "objects" / "jobs" / job_id).glob("*/generations/*/*/0*")))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    postgres = PostgresServer(free_port())
    postgres.start()
    try:
        yield Cluster(postgres, folder, free_port())
    finally:
        postgres.stop()


@pytest.fixture
def migrated(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("UNIAUDIO_JOBS_DATABASE", cluster.postgres.url)
    assert migrate_command.main([]) == 0
    return cluster


@pytest.fixture
async def desk(migrated: Cluster) -> AsyncIterator[JobDesk]:
    parts = open_parts(migrated.settings)
    async with brokered(parts, CeleryDispatcher(make_app(migrated.settings.broker))) as desk:
        yield desk


async def create(desk: JobDesk, request_id: str, seeds: range) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield SPOKEN

    recording = await desk.upload("ada", AudioFormat(), chunks())
    items = tuple(
        ItemSpec(
            recording_id=recording.recording_id,
            steps=(EditStep(instruction=SAD, sampling=Sampling(seed=seed)),),
        )
        for seed in seeds
    )
    return (await desk.create("ada", request_id, JobSpec(items=items))).job_id


async def ended(desk: JobDesk, job_id: str, seconds: float = 60) -> tuple[Item, ...]:
    async with asyncio.timeout(seconds), aclosing(desk.watch("ada", job_id)) as changes:
        async for job in changes:
            if job.state.is_final:
                return (await desk.get("ada", job_id)).items
    raise AssertionError("a watch ends with the end")


async def content(desk: JobDesk, item: Item) -> bytes:
    assert item.result is not None, item.failure
    return b"".join([piece async for piece in desk.read_result(item.result)])


async def undisturbed(seed: int) -> bytes:
    """What the same edit gives without jobs."""
    model, tokenizer = FakeLanguageModel(speaking), FakeTokenizer()
    editor = Editor(tokenizer, model, Transcriber(tokenizer, model), FakeTools())
    order = EditOrder(audio=Recording(content=SPOKEN), instruction=SAD, sampling=Sampling(seed=seed))
    return b"".join([item.content async for item in editor.edit(order) if isinstance(item, AudioBytes)])


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def test_the_migrations_make_the_tables(cluster: Cluster, tmp_path: Path) -> None:
    for url in (cluster.postgres.url, f"sqlite:///{tmp_path / 'jobs.sqlite3'}"):
        database = Database(url)
        if not database.is_embedded:
            with pytest.raises(StartupError, match="needs"):
                check_migrated(database)
        migrate(database)
        migrate(database)
        check_migrated(database)
        with database.transaction() as connection:
            found = compare_metadata(MigrationContext.configure(connection), METADATA)
        assert [diff for diff in found if diff[0] != "remove_table"] == []
        database.close()


async def test_many_workers_claim_each_item_once(desk: JobDesk, migrated: Cluster) -> None:
    job_id = await create(desk, "claims", range(30))
    database = Database(migrated.postgres.url, pool_size=8)
    work = WorkStore(database)
    keys = [(job_id, index) for index in range(30)]
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: work.claim(keys[n % 5 :] + keys[: n % 5], f"w{n}"), range(8)))
        got = [claim for some in claims for claim in some if isinstance(claim, Claim)]
        assert sorted(claim.key for claim in got) == sorted(keys)
        held = list(pool.map(lambda _: work.end([success(claim) for claim in got]), range(4)))
    assert sum(map(sum, held)) == 30
    assert (await desk.get("ada", job_id)).counts.succeeded == 30
    database.close()


async def test_a_killed_worker_costs_nothing_but_time(desk: JobDesk, migrated: Cluster) -> None:
    with ExitStack() as stack:
        stack.enter_context(redis_server(migrated.broker_port))
        job_id = await create(desk, "killed", range(3))
        with migrated.worker() as first:
            await until(lambda: migrated.num_pieces(job_id) >= 4)
            first.kill()
        with migrated.worker():
            items = await ended(desk, job_id)
    assert [item.state for item in items] == [State.SUCCEEDED] * 3
    assert [item.num_attempts for item in items] == [2] * 3
    for seed, item in enumerate(items):
        assert await content(desk, item) == await undisturbed(seed)
    resumed = (migrated.folder / "resumed").read_text().split()
    assert all(int(count) >= 25 for count in resumed)
    assert len(resumed) >= 2


async def test_database_and_broker_may_be_away_for_a_while(desk: JobDesk, migrated: Cluster) -> None:
    job_id = await create(desk, "no broker", range(2))
    with migrated.worker():
        await asyncio.sleep(0.5)
        with redis_server(migrated.broker_port):
            await until(lambda: migrated.num_pieces(job_id) >= 2)
            migrated.postgres.kill()
            await asyncio.sleep(2.5)
            migrated.postgres.start()
            items = await ended(desk, job_id)
    assert [item.state for item in items] == [State.SUCCEEDED] * 2
    for seed, item in enumerate(items):
        assert await content(desk, item) == await undisturbed(seed)
