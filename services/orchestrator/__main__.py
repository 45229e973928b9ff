"""Starts the orchestrator: `python -m services.orchestrator`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from services.orchestrator.admission import Admission
from services.orchestrator.attempts import Patience
from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import Normalization
from services.orchestrator.edit_tools import LibraryTools
from services.orchestrator.front import Front
from services.orchestrator.job_servicer import EditJobServicer, edit_job_service
from services.orchestrator.jobs.desk import JobDesk
from services.orchestrator.jobs.file_edits import editor_maker
from services.orchestrator.jobs.parts import JobParts, open_desk, open_parts
from services.orchestrator.jobs.queue import queued_audio_seconds
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.provenance.servicer import provenance_service
from services.orchestrator.provenance.settings import ProvenanceSettings, make_provenance
from services.orchestrator.servicer import speech_service
from services.orchestrator.settings import PROCESS_NAME, OrchestratorSettings
from services.orchestrator.synthesize import SynthesisConfig
from services.orchestrator.texts import prepare_sentences
from services.orchestrator.tokenizer_servicer import TokenizerDoor, tokenizer_service
from services.orchestrator.transcribe import Transcriber
from services.orchestrator.voices.objects import VoiceObjects
from services.orchestrator.voices.policy import Voices
from services.orchestrator.voices.registry import VoiceRegistry
from services.orchestrator.voices.servicer import voice_service
from services.orchestrator.voices.settings import VoicesSettings
from services.orchestrator.voices.store import VoiceStore
from services.orchestrator.voices.sweeping import keep_swept
from services.orchestrator.wire_clients import WireLanguageModel, WireTokenizer
from uniaudio.errors import UniaudioError
from uniaudio.runtime.guard.callers import current_caller
from uniaudio.runtime.guard.guard import Guard
from uniaudio.runtime.guard.settings import GuardSettings
from uniaudio.runtime.guard.wiring import make_guard
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.queues import tell_queued_audio
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
        settings = read_all()
        setup_logging(PROCESS_NAME, settings.serving.log_level)
        asyncio.run(serve(settings))
    except UniaudioError as error:
        get_logger(__name__).error("cannot serve", reason=error.reason, error=error.message)
        return 1
    return 0


@dataclass(frozen=True, kw_only=True)
class AllSettings:
    """What the environment says to each part of this process."""

    serving: OrchestratorSettings
    guard: GuardSettings
    provenance: ProvenanceSettings
    jobs: JobsSettings
    voices: VoicesSettings
    client_tls: ClientTlsSettings
    server_tls: ServerTlsSettings


def read_all() -> AllSettings:
    """All of them; raises StartupError for one that cannot be."""
    return AllSettings(
        serving=read_settings(OrchestratorSettings),
        guard=read_settings(GuardSettings),
        provenance=read_settings(ProvenanceSettings),
        jobs=read_settings(JobsSettings),
        voices=read_settings(VoicesSettings),
        client_tls=read_settings(ClientTlsSettings),
        server_tls=read_settings(ServerTlsSettings),
    )


async def serve(settings: AllSettings) -> None:
    """Serves until SIGTERM or SIGINT."""
    stop_telemetry = setup_telemetry(PROCESS_NAME)
    try:
        # The first text would wait a second for the grammars otherwise.
        await asyncio.to_thread(prepare_sentences, "1. 一。", Normalization.AUTO, 10)
        guard = make_guard(settings.guard, host=settings.serving.host)
        jobs = await asyncio.to_thread(open_parts, settings.jobs)
        server = await make_server(settings, guard, jobs)
        await server.serve_until_signal()
    finally:
        await asyncio.to_thread(stop_telemetry)


async def make_server(all_settings: AllSettings, guard: Guard, jobs: JobParts) -> Server:
    """The server with its real neighbours, not started."""
    settings = all_settings.serving
    tokenizer = TokenizerClient(settings.tokenizer_address, tls=all_settings.client_tls)
    llm = LlmClient(settings.llm_address, tls=all_settings.client_tls)
    hallmark, verifier = make_provenance(all_settings.provenance)
    wire_tokenizer = WireTokenizer(tokenizer)
    seconds = settings.max_generation_seconds
    language_model = WireLanguageModel(llm, max_generation_seconds=seconds)
    jobs_model = WireLanguageModel(llm, max_generation_seconds=seconds, is_batch=True)
    registry = _registry(jobs, wire_tokenizer, language_model)
    policy = all_settings.voices.policy(is_authenticating=guard.is_authenticating)
    admission = _admission(settings)
    known_voices = Voices(registry, _caller_name, policy)
    front = _front(settings, wire_tokenizer, language_model, admission, hallmark, known_voices)
    _tell_queued_audio(admission, jobs)
    door = TokenizerDoor(tokenizer, _admission(settings), max_request_seconds=settings.max_request_seconds)
    beside = Admission(
        max_running=2, max_waiting=settings.max_waiting, max_wait_seconds=settings.max_request_seconds
    )
    closing = AsyncExitStack()
    await closing.enter_async_context(keep_swept(registry))
    process = jobs.processor(wire_tokenizer, jobs_model, editor_maker(LibraryTools(), hallmark))
    desk = await closing.enter_async_context(open_desk(jobs, process, grace_seconds=settings.grace_seconds))
    job_servicer = _job_servicer(settings, desk)
    services = [
        speech_service(front),
        provenance_service(verifier, beside),
        voice_service(registry, _caller_name, beside),
        edit_job_service(job_servicer),
        tokenizer_service(door),
    ]
    config = _server_config(settings, all_settings.server_tls)
    server = Server(services, config, interceptors=[guard], on_end=guard.end)
    for close in (guard.close, tokenizer.close, llm.close, closing.aclose):
        server.on_stop(close)  # the last one first: jobs need the models until they have ended
    server.on_stopping(job_servicer.leave)
    return server


def _server_config(settings: OrchestratorSettings, tls: ServerTlsSettings) -> ServerConfig:
    return ServerConfig(
        host=settings.host,
        port=settings.port,
        port_variable="UNIAUDIO_ORCHESTRATOR_PORT",
        credentials=server_credentials(tls),
        default_deadline_seconds=settings.max_request_seconds,
        grace_seconds=settings.grace_seconds,
    )


def _tell_queued_audio(admission: Admission, jobs: JobParts) -> None:
    tell_queued_audio(
        {
            "requests": lambda: admission.waiting_audio_seconds,
            "jobs": lambda: queued_audio_seconds(jobs.database),
        }
    )


def _admission(settings: OrchestratorSettings) -> Admission:
    return Admission(
        max_running=settings.max_running,
        max_waiting=settings.max_waiting,
        max_wait_seconds=settings.max_request_seconds,
    )


def _caller_name() -> str:
    return current_caller().name


def _registry(jobs: JobParts, tokenizer: Tokenizer, language_model: LanguageModel) -> VoiceRegistry:
    transcriber = Transcriber(tokenizer, language_model)
    return VoiceRegistry(VoiceStore(jobs.database), VoiceObjects(jobs.store), tokenizer, transcriber)


def _front(
    settings: OrchestratorSettings,
    tokenizer: Tokenizer,
    language_model: LanguageModel,
    admission: Admission,
    hallmark: Hallmark,
    voices: Voices,
) -> Front:
    return Front(
        tokenizer,
        language_model,
        prepare=prepare_sentences,
        tools=LibraryTools(),
        admission=admission,
        live_admission=Admission(max_running=settings.max_live_streams, max_waiting=0, max_wait_seconds=1.0),
        max_request_seconds=settings.max_request_seconds,
        hallmark=hallmark,
        voices=voices,
        synthesis=SynthesisConfig(patience=Patience(max_held_seconds=settings.max_held_seconds)),
    )


def _job_servicer(settings: OrchestratorSettings, desk: JobDesk) -> EditJobServicer:
    return EditJobServicer(
        desk,
        _caller_name,
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
        VoicesSettings,
        ServerTlsSettings,
        ClientTlsSettings,
    )
    parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
