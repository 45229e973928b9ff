"""EditJobService with everything behind it real but the models: SQLite and objects in a folder, workers in process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.orchestrator.admission import Admission
from services.orchestrator.job_servicer import EditJobServicer, edit_job_service
from services.orchestrator.jobs.file_edits import editor_maker
from services.orchestrator.jobs.parts import open_desk, open_parts
from services.orchestrator.jobs.settings import JobsSettings
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, FakeTools
from uniaudio.client import AsyncSpeechClient
from uniaudio.runtime.guard.guard import Guard
from uniaudio.runtime.server import Server, ServerConfig


@dataclass
class JobHouse:
    """A running service on a folder, and who calls it."""

    model: FakeLanguageModel
    client: AsyncSpeechClient
    port: int
    caller: str = "ada"


@asynccontextmanager
async def running_jobs(
    folder: Path,
    model: FakeLanguageModel,
    *,
    port: int = 0,
    grace_seconds: float = 5.0,
    guard: Guard | None = None,
) -> AsyncIterator[JobHouse]:
    """The service on what earlier ones left in `folder`, stopped at the end with nothing of its models left open."""
    tokenizer = FakeTokenizer()

    house: JobHouse
    parts = open_parts(JobsSettings(folder=folder, sweep_seconds=0.1, lease_seconds=2.0))
    process = parts.processor(tokenizer, model, editor_maker(FakeTools()))
    async with open_desk(parts, process, grace_seconds=grace_seconds) as desk:
        servicer = EditJobServicer(
            desk,
            lambda: house.caller,
            transfers=Admission(max_running=4, max_waiting=4, max_wait_seconds=5),
            watches=Admission(max_running=8, max_waiting=0, max_wait_seconds=5),
        )
        server = Server(
            [edit_job_service(servicer)],
            ServerConfig(port=port, grace_seconds=5),
            interceptors=[guard] if guard else [],
            on_end=guard.end if guard else None,
        )
        server.on_stopping(servicer.leave)
        port = await server.start()
        try:
            async with AsyncSpeechClient(f"127.0.0.1:{port}", timeout_seconds=20) as client:
                house = JobHouse(model, client, port)
                yield house
        finally:
            await server.stop()
    assert (model.num_open, tokenizer.num_open) == (0, 0)
