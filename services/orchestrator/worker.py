"""Does the items of jobs that a broker brings: `python -m services.orchestrator.worker`.

SIGTERM: nothing more is taken up, what runs may end, the rest is given back for others to go on with.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import propagate

from services.orchestrator.edit_tools import LibraryTools
from services.orchestrator.jobs.broker import Context, make_app, serve
from services.orchestrator.jobs.file_edits import editor_maker
from services.orchestrator.jobs.parts import JobParts, open_parts
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.jobs.transitions import ItemKey
from services.orchestrator.jobs.worker import Process, Worker
from services.orchestrator.provenance.settings import ProvenanceSettings, make_provenance
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.wire_clients import WireLanguageModel, WireTokenizer
from uniaudio.errors import StartupError, UniaudioError
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.settings import read_settings, settings_parser
from uniaudio.runtime.telemetry import setup_telemetry
from uniaudio.runtime.tls import ClientTlsSettings
from uniaudio.runtime.tokenizer_client import TokenizerClient

PROCESS_NAME = "worker"
_SECONDS = 60.0
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Works until a signal; 0 after a clean stop, 1 when it could not start."""
    settings_parser(
        "python -m services.orchestrator.worker",
        "Does the items of jobs that a broker brings.",
        JobsSettings,
        OrchestratorSettings,
        ProvenanceSettings,
        ClientTlsSettings,
    ).parse_args(arguments)
    setup_logging(PROCESS_NAME)
    log = get_logger(__name__)
    try:
        settings = read_settings(OrchestratorSettings)
        setup_logging(PROCESS_NAME, settings.log_level)
        stop_telemetry = setup_telemetry(PROCESS_NAME)
        try:
            work(read_settings(JobsSettings), real_processing, grace_seconds=settings.grace_seconds)
        finally:
            stop_telemetry()
    except UniaudioError as error:
        log.error("cannot work", reason=error.reason, error=error.message)
        return 1
    return 0


Processing = Callable[[JobParts], AbstractAsyncContextManager[Process]]
"""Opens what does items, and closes it again."""


def work(jobs: JobsSettings, processing: Processing, *, grace_seconds: float) -> None:
    """Does items that the broker brings, until SIGTERM or SIGINT."""
    if not jobs.broker:
        raise StartupError(
            "UNIAUDIO_JOBS_BROKER is not set; set it to where the orchestrator sends items, or let the "
            "orchestrator do them itself",
            reason="MISSING_SETTING",
            variable="UNIAUDIO_JOBS_BROKER",
        )
    parts = open_parts(jobs)
    with _loop() as loop:
        closing = AsyncExitStack()
        worker = loop.call(_make_worker(parts, processing, closing))

        def run(keys: Sequence[ItemKey], context: Context) -> None:
            loop.call(_accept(worker, keys, context), seconds=jobs.max_item_seconds)

        def leave() -> None:
            loop.begin(worker.leave())

        try:
            serve(make_app(jobs.broker), run, leave)
        finally:
            loop.call(worker.stop(grace_seconds), seconds=grace_seconds + _SECONDS)
            loop.call(closing.aclose())
            parts.database.close()


async def _make_worker(parts: JobParts, processing: Processing, closing: AsyncExitStack) -> Worker:
    return parts.worker(await closing.enter_async_context(processing(parts)))


@asynccontextmanager
async def real_processing(parts: JobParts) -> AsyncGenerator[Process, None]:
    """Items done with the real neighbours."""
    settings, tls = read_settings(OrchestratorSettings), read_settings(ClientTlsSettings)
    hallmark, _ = make_provenance(read_settings(ProvenanceSettings))
    tokenizer = TokenizerClient(settings.tokenizer_address, tls=tls)
    llm = LlmClient(settings.llm_address, tls=tls)
    seconds = settings.max_generation_seconds
    model = WireLanguageModel(llm, max_generation_seconds=seconds, is_batch=True)
    try:
        yield parts.processor(WireTokenizer(tokenizer), model, editor_maker(LibraryTools(), hallmark))
    finally:
        await llm.close()
        await tokenizer.close()


async def _accept(worker: Worker, keys: Sequence[ItemKey], context: Context) -> None:
    otel_context.attach(propagate.extract(context))
    await worker.accept(keys)


class _Loop:
    """An event loop in a thread of its own: the broker's client holds the main one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(self, work: Coroutine[Any, Any, T], *, seconds: float = _SECONDS) -> T:
        """The result of `work`; TimeoutError where it takes too long."""
        return self.begin(work).result(seconds)

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begins `work`; its future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@contextmanager
def _loop() -> Iterator[_Loop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="uniaudio-worker", daemon=True)
    thread.start()
    try:
        yield _Loop(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_SECONDS)
        loop.close()


if __name__ == "__main__":
    sys.exit(main())
