"""Starts the orchestrator: `python -m services.orchestrator`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

from services.orchestrator.admission import Admission
from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import Normalization
from services.orchestrator.edit_tools import LibraryTools
from services.orchestrator.front import Front
from services.orchestrator.job_servicer import EditJobServicer, edit_job_service
from services.orchestrator.jobs.desk import JobDesk
from services.orchestrator.jobs.file_edits import editor_maker
from services.orchestrator.jobs.parts import JobParts, open_desk, open_parts
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.provenance.servicer import provenance_service
from services.orchestrator.provenance.settings import ProvenanceSettings, make_provenance
from services.orchestrator.servicer import speech_service
from services.orchestrator.settings import PROCESS_NAME, OrchestratorSettings
from services.orchestrator.texts import prepare_sentences
from services.orchestrator.wire_clients import WireLanguageModel, WireTokenizer
from uniaudio.errors import UniaudioError
from uniaudio.runtime.guard.callers import current_caller
from uniaudio.runtime.guard.guard import Guard
from uniaudio.runtime.guard.settings import GuardSettings
from uniaudio.runtime.guard.wiring import make_guard
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.server import Server, ServerConfig
from uniaudio.runtime.settings import read_settings, settings_parser
from uniaudio.runtime.telemetry import setup_telemetry
from uniaudio.runtime.tls import ClientTlsSettings, ServerTlsSettings, server_credentials
from uniaudio.runtime.tokenizer_client import TokenizerClient


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal; 0 after a clean stop, 1 when the service could not start."""
    _parse(arguments)
    setup_logging(PROCESS_NAME)
    try:
        settings = read_settings(OrchestratorSettings)
        setup_logging(PROCESS_NAME, settings.log_level)
        client_tls, server_tls = read_settings(ClientTlsSettings), read_settings(ServerTlsSettings)
        guarding, making = read_settings(GuardSettings), read_settings(ProvenanceSettings)
        jobs = read_settings(JobsSettings)
        asyncio.run(serve(settings, guarding, making, jobs, client_tls, server_tls))
    except UniaudioError as error:
        get_logger(__name__).error("cannot serve", reason=error.reason, error=error.message)
        return 1
    return 0


async def serve(
    settings: OrchestratorSettings,
    guard_settings: GuardSettings,
    provenance_settings: ProvenanceSettings,
    jobs_settings: JobsSettings,
    client_tls: ClientTlsSettings,
    server_tls: ServerTlsSettings,
) -> None:
    """Serves until SIGTERM or SIGINT."""
    stop_telemetry = setup_telemetry(PROCESS_NAME)
    try:
        # The first text would wait a second for the grammars otherwise.
        await asyncio.to_thread(prepare_sentences, "1. 一。", Normalization.AUTO, 10)
        guard = make_guard(guard_settings, host=settings.host)
        jobs = await asyncio.to_thread(open_parts, jobs_settings)
        server = await make_server(settings, guard, provenance_settings, jobs, client_tls, server_tls)
        await server.serve_until_signal()
    finally:
        await asyncio.to_thread(stop_telemetry)


async def make_server(
    settings: OrchestratorSettings,
    guard: Guard,
    provenance_settings: ProvenanceSettings,
    jobs: JobParts,
    client_tls: ClientTlsSettings,
    server_tls: ServerTlsSettings,
) -> Server:
    """The server with its real neighbours, not started."""
    tokenizer = TokenizerClient(settings.tokenizer_address, tls=client_tls)
    llm = LlmClient(settings.llm_address, tls=client_tls)
    hallmark, verifier = make_provenance(provenance_settings)
    wire_tokenizer = WireTokenizer(tokenizer)
    language_model = WireLanguageModel(llm, max_generation_seconds=settings.max_generation_seconds)
    front = _front(settings, wire_tokenizer, language_model, hallmark)
    verifications = Admission(
        max_running=2, max_waiting=settings.max_waiting, max_wait_seconds=settings.max_request_seconds
    )
    closing = AsyncExitStack()
    process = jobs.processor(language_model, editor_maker(wire_tokenizer, LibraryTools(), hallmark))
    desk = await closing.enter_async_context(open_desk(jobs, process, grace_seconds=settings.grace_seconds))
    job_servicer = _job_servicer(settings, desk)
    server = Server(
        [speech_service(front), provenance_service(verifier, verifications), edit_job_service(job_servicer)],
        ServerConfig(
            host=settings.host,
            port=settings.port,
            port_variable="UNIAUDIO_ORCHESTRATOR_PORT",
            credentials=server_credentials(server_tls),
            default_deadline_seconds=settings.max_request_seconds,
            grace_seconds=settings.grace_seconds,
        ),
        interceptors=[guard],
        on_end=guard.end,
    )
    for close in (guard.close, tokenizer.close, llm.close, closing.aclose):
        server.on_stop(close)  # the last one first: jobs need the models until they have ended
    server.on_stopping(job_servicer.leave)
    return server


def _front(
    settings: OrchestratorSettings, tokenizer: Tokenizer, language_model: LanguageModel, hallmark: Hallmark
) -> Front:
    return Front(
        tokenizer,
        language_model,
        prepare=prepare_sentences,
        tools=LibraryTools(),
        admission=Admission(
            max_running=settings.max_running,
            max_waiting=settings.max_waiting,
            max_wait_seconds=settings.max_request_seconds,
        ),
        live_admission=Admission(max_running=settings.max_live_streams, max_waiting=0, max_wait_seconds=1.0),
        max_request_seconds=settings.max_request_seconds,
        hallmark=hallmark,
    )


def _job_servicer(settings: OrchestratorSettings, desk: JobDesk) -> EditJobServicer:
    return EditJobServicer(
        desk,
        lambda: current_caller().name,
        transfers=Admission(max_running=settings.max_transfers, max_waiting=0, max_wait_seconds=1.0),
        watches=Admission(max_running=settings.max_watches, max_waiting=0, max_wait_seconds=1.0),
    )


def _parse(arguments: Sequence[str] | None) -> None:
    parser = settings_parser(
        "python -m services.orchestrator",
        "The front door: transcribe, speak and edit, composed of the tokenizer and the LLM.",
        OrchestratorSettings,
        GuardSettings,
        ProvenanceSettings,
        JobsSettings,
        ServerTlsSettings,
        ClientTlsSettings,
    )
    parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
