"""How many jobs a second the machinery itself carries: PostgreSQL, Redis, workers whose edits take no time.

    python -m benchmarks.jobs --jobs 3000 --workers 1 2 4

Starts both servers and the workers itself, on free loopback ports, and removes what it made.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import psutil
from sqlalchemy import func, select

from services.orchestrator.domain import EditReport
from services.orchestrator.jobs.broker import CeleryDispatcher, make_app
from services.orchestrator.jobs.codec import StepsDone
from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.desk import JobDesk
from services.orchestrator.jobs.migrate import migrate
from services.orchestrator.jobs.model import Artifact, EditStep, ItemSpec, JobSpec
from services.orchestrator.jobs.parts import JobParts, brokered, open_parts
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.jobs.tables import JOBS
from services.orchestrator.jobs.work import Claim, Succeeded
from services.orchestrator.jobs.worker import EndStep, Process, Tell
from services.orchestrator.worker import work
from tests.fakes_speech import tone
from tests.postgres_server import PostgresServer
from tests.redis_server import redis_server
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.editing.plan import Plan
from uniaudio.runtime.logging import setup_logging
from uniaudio.runtime.ports import free_port
from uniaudio.runtime.settings import read_settings

_MANY = 10_000_000
_CREATORS = 64
_SECONDS = 300.0


@asynccontextmanager
async def instant(parts: JobParts) -> AsyncGenerator[Process, None]:
    """Items whose results were always there."""
    format = AudioFormat(encoding=AudioEncoding.WAV)
    result = Artifact(object_key="jobs/none", format=format, size_bytes=1, sha256="0" * 64, audio_seconds=1.0)
    done = StepsDone(reports=(EditReport(plan=Plan(instruction="none"), ranges=()),), artifact=result)

    async def process(claim: Claim, tell: Tell, end_step: EndStep) -> Succeeded:
        return Succeeded(claim, done, result)

    yield process


def settings_of(database: str, broker: str, folder: Path) -> JobsSettings:
    """As the workers get them."""
    return JobsSettings(
        database=database,
        broker=broker,
        object_store=str(folder / "objects"),
        max_running=64,
        quota_jobs=_MANY,
        quota_items=_MANY,
    )


@contextmanager
def workers(count: int, settings: JobsSettings) -> Iterator[None]:
    """So many worker processes."""
    environ = {
        **os.environ,
        "UNIAUDIO_JOBS_DATABASE": settings.database,
        "UNIAUDIO_JOBS_BROKER": settings.broker,
        "UNIAUDIO_JOBS_STORE": settings.object_store,
        "UNIAUDIO_JOBS_MAX_RUNNING": str(settings.max_running),
    }
    command = [sys.executable, "-m", "benchmarks.jobs", "--work"]
    started = [subprocess.Popen(command, env=environ) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=60)


async def measure(desk: JobDesk, database: Database, num_jobs: int, name: str) -> tuple[float, float]:
    """Jobs accepted, and jobs accepted and finished, a second."""

    async def chunks() -> AsyncIterator[bytes]:
        yield encode_audio(tone(1.0), AudioFormat(encoding=AudioEncoding.WAV))

    recording = await desk.upload("ada", AudioFormat(), chunks())
    step = EditStep(instruction="make it 20% faster")
    spec = JobSpec(items=(ItemSpec(recording_id=recording.recording_id, steps=(step,)),))
    numbers = iter(range(num_jobs))

    async def creator() -> None:
        for number in numbers:
            await desk.create("ada", f"{name} {number}", spec)

    began = time.monotonic()
    await asyncio.gather(*(creator() for _ in range(_CREATORS)))
    accepted = time.monotonic() - began
    async with asyncio.timeout(_SECONDS):
        while await asyncio.to_thread(_num_open, database):  # noqa: ASYNC110 - other processes end them
            await asyncio.sleep(0.05)
    return num_jobs / accepted, num_jobs / (time.monotonic() - began)


def _num_open(database: Database) -> int:
    with database.reading() as connection:
        count = connection.scalar(select(func.count()).where(JOBS.c.ended_at.is_(None)))
    return int(count or 0)


def _processor_seconds() -> dict[str, float]:
    """What this process and its children have used, by program."""
    used: dict[str, float] = {"orchestrator": time.process_time()}
    for child in psutil.Process().children(recursive=True):
        spent = child.cpu_times()
        name = "worker" if "--work" in child.cmdline() else child.name()
        used[name] = used.get(name, 0.0) + spent.user + spent.system
    return used


async def run(num_jobs: int, counts: list[int]) -> None:
    """Prints a row for each number of workers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = PostgresServer(free_port())
        postgres.start()
        stack.callback(postgres.stop)
        settings = settings_of(postgres.url, stack.enter_context(redis_server()), folder)
        database = Database(settings.database)
        stack.callback(database.close)
        migrate(database)
        parts = open_parts(settings)
        async with brokered(parts, CeleryDispatcher(make_app(settings.broker))) as desk:
            print(f"{'workers':>8} {'accepted/s':>11} {'finished/s':>11}  processor ms a job")
            for count in counts:
                with workers(count, settings):
                    await measure(desk, database, 100, f"warm up {count}")
                    before = _processor_seconds()
                    accepted, finished = await measure(desk, database, num_jobs, f"run {count}")
                    used = {name: value - before[name] for name, value in _processor_seconds().items()}
                shares = ", ".join(f"{name} {1000 * used[name] / num_jobs:.2f}" for name in sorted(used))
                print(f"{count:8d} {accepted:11.0f} {finished:11.0f}  {shares}", flush=True)


def main() -> None:
    """Measures, or is one of the workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    setup_logging("benchmark", "warning")
    if arguments.work:
        work(read_settings(JobsSettings), instant, grace_seconds=5)
    else:
        asyncio.run(run(arguments.jobs, arguments.workers))


if __name__ == "__main__":
    main()
