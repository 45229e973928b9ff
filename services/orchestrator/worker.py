"""Does the items of jobs that a broker brings: `python -m services.orchestrator.worker`.

SIGTERM: nothing more is taken up, what runs may end, the rest is given back for others to go on with.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import propagate

from services.orchestrator.edit_tools import LibraryTools
from services.orchestrator.jobs.broker import Context, make_app, serve
from services.orchestrator.jobs.file_edits import editor_maker
from services.orchestrator.jobs.parts import open_parts
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.jobs.transitions import ItemKey
from services.orchestrator.jobs.worker import Worker
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
            work(settings, read_settings(JobsSettings))
        finally:
            stop_telemetry()
    except UniaudioError as error:
        log.error("cannot work", reason=error.reason, error=error.message)
        return 1
    return 0


def work(settings: OrchestratorSettings, jobs: JobsSettings) -> None:
    """Works until SIGTERM or SIGINT."""
    if not jobs.broker:
        raise StartupError(
            "UNIAUDIO_JOBS_BROKER is not set; set it to where the orchestrator sends items, or let the "
            "orchestrator do them itself",
            reason="MISSING_SETTING",
            variable="UNIAUDIO_JOBS_BROKER",
        )
    with _loop() as loop:
        worker, tokenizer, llm = loop.call(_make_worker(settings, jobs))

        def run(keys: Sequence[ItemKey], context: Context) -> None:
            loop.call(_accept(worker, keys, context), seconds=jobs.max_item_seconds)

        def leave() -> None:
            loop.begin(worker.leave())

        try:
            serve(make_app(jobs.broker), run, leave)
        finally:
            loop.call(worker.stop(settings.grace_seconds), seconds=settings.grace_seconds + _SECONDS)
            loop.call(tokenizer.close())
            loop.call(llm.close())


async def _make_worker(
    settings: OrchestratorSettings, jobs: JobsSettings
) -> tuple[Worker, TokenizerClient, LlmClient]:
    tls = read_settings(ClientTlsSettings)
    tokenizer = TokenizerClient(settings.tokenizer_address, tls=tls)
    llm = LlmClient(settings.llm_address, tls=tls)
    model = WireLanguageModel(llm, max_generation_seconds=settings.max_generation_seconds)
    hallmark, _ = make_provenance(read_settings(ProvenanceSettings))
    parts = await asyncio.to_thread(open_parts, jobs)
    process = parts.processor(model, editor_maker(WireTokenizer(tokenizer), LibraryTools(), hallmark))
    return parts.worker(process), tokenizer, llm


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
