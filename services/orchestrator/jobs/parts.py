"""The parts of the jobs' machinery, put together as the settings say."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.desk import JobDesk
from services.orchestrator.jobs.dispatch import Dispatcher, EmbeddedDispatcher
from services.orchestrator.jobs.files import remove_left_behind
from services.orchestrator.jobs.migrate import check_migrated, migrate
from services.orchestrator.jobs.processing import ItemProcessor, MakeEditor
from services.orchestrator.jobs.recording_store import RecordingStore
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.jobs.store import JobStore
from services.orchestrator.jobs.sweep_store import SweepStore
from services.orchestrator.jobs.sweeper import Sweeper
from services.orchestrator.jobs.work import WorkStore
from services.orchestrator.jobs.worker import Process, Worker
from uniaudio.runtime.object_store import ObjectStore, open_object_store


@dataclass(frozen=True, kw_only=True)
class JobParts:
    """Everything that lies on the database and the object store."""

    settings: JobsSettings
    database: Database
    store: ObjectStore
    scratch_folder: Path | None

    @property
    def recordings(self) -> RecordingStore:
        """Recordings of all callers."""
        return RecordingStore(self.database, quota=self.settings.quota, retention=self.settings.retention)

    def desk(self, dispatcher: Dispatcher) -> JobDesk:
        """Where callers come."""
        jobs = JobStore(
            self.database,
            quota=self.settings.quota,
            retention=self.settings.retention,
            patience=self.settings.patience,
        )
        return JobDesk(jobs, self.recordings, self.store, dispatcher, scratch_folder=self.scratch_folder)

    def sweeper(self, dispatcher: Dispatcher) -> Sweeper:
        """Looks after what nobody looks after."""
        sweep = SweepStore(self.database, patience=self.settings.patience, retention=self.settings.retention)
        return Sweeper(
            sweep,
            self.recordings,
            self.store,
            dispatcher,
            every_seconds=self.settings.sweep_seconds,
            lease_seconds=self.settings.lease_seconds,
        )

    def processor(
        self, tokenizer: Tokenizer, language_model: LanguageModel, make_editor: MakeEditor
    ) -> ItemProcessor:
        """Does what items ask for."""
        return ItemProcessor(
            self.store,
            self.recordings,
            tokenizer,
            language_model,
            make_editor,
            scratch_folder=self.scratch_folder,
        )

    def worker(self, process: Process) -> Worker:
        """Does items in this process."""
        return Worker(
            WorkStore(self.database, patience=self.settings.patience),
            process,
            holder=f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"[:128],
            patience=self.settings.patience,
            max_running=self.settings.max_running,
            max_item_seconds=self.settings.max_item_seconds,
        )


def open_parts(settings: JobsSettings) -> JobParts:
    """The parts, on a database of the right version: an embedded one is brought to it.

    Raises StartupError, StoreError or UnavailableError where something is missing.
    """
    scratch_folder: Path | None = None
    if not settings.database:
        scratch_folder = settings.folder.expanduser() / "scratch"
        scratch_folder.mkdir(parents=True, exist_ok=True)
        remove_left_behind(scratch_folder, older_than_seconds=settings.max_item_seconds)
    database = Database(settings.database_url, pool_size=settings.max_running + 4)
    store = open_object_store(settings.store_url)
    if database.is_embedded:
        migrate(database)
    else:
        check_migrated(database)
    return JobParts(settings=settings, database=database, store=store, scratch_folder=scratch_folder)


def open_desk(
    parts: JobParts, process: Process, *, grace_seconds: float
) -> AbstractAsyncContextManager[JobDesk]:
    """A desk whose items are done by workers behind the broker, or in this process where there is none."""
    if not parts.settings.broker:
        return embedded(parts, process, grace_seconds=grace_seconds)
    from services.orchestrator.jobs.broker import CeleryDispatcher, make_app  # a second's import

    return brokered(parts, CeleryDispatcher(make_app(parts.settings.broker)))


@asynccontextmanager
async def embedded(
    parts: JobParts, process: Process, *, grace_seconds: float
) -> AsyncGenerator[JobDesk, None]:
    """A desk whose items are done in this process; what does not end in time is gone on with later."""
    worker = parts.worker(process)
    dispatcher = EmbeddedDispatcher(worker.accept)
    async with AsyncExitStack() as stack:
        stack.callback(parts.database.close)
        stack.push_async_callback(worker.stop, grace_seconds)
        stack.push_async_callback(dispatcher.close)
        await stack.enter_async_context(_running(parts.sweeper(dispatcher)))
        yield parts.desk(dispatcher)


@asynccontextmanager
async def brokered(parts: JobParts, dispatcher: Dispatcher) -> AsyncGenerator[JobDesk, None]:
    """A desk whose items are done by workers elsewhere."""
    async with AsyncExitStack() as stack:
        stack.callback(parts.database.close)
        stack.push_async_callback(dispatcher.close)
        await stack.enter_async_context(_running(parts.sweeper(dispatcher)))
        yield parts.desk(dispatcher)


@asynccontextmanager
async def _running(sweeper: Sweeper) -> AsyncGenerator[None, None]:
    task = asyncio.create_task(sweeper.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
