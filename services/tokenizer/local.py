"""The service in one process on grpc.aio: for laptops and tests; the same servicer as on Ray."""

from __future__ import annotations

import asyncio

import grpc

from services.tokenizer.batcher import Batcher
from services.tokenizer.model import Step, StepModel, StepResult, load_model
from services.tokenizer.servicer import SERVICE, TokenizerServicer
from services.tokenizer.sessions import queued_audio_seconds
from services.tokenizer.settings import PORT_VARIABLE, SERVICE_NAME, Settings
from uniaudio.runtime.queues import tell_queued_audio
from uniaudio.runtime.server import Server, ServerConfig, Service
from uniaudio.runtime.telemetry import setup_telemetry
from uniaudio.runtime.tls import ServerTlsSettings, server_credentials
from uniaudio.v1 import tokenizer_pb2_grpc


def make_server(
    settings: Settings, model: StepModel, credentials: grpc.ServerCredentials | None = None
) -> Server:
    """A server of TokenizerService around `model`. Call on the event loop that will run it."""
    batcher: Batcher[Step, StepResult] = Batcher(
        model.run, max_sessions=settings.max_sessions, max_batch_cost=settings.max_batch_frames
    )
    servicer = TokenizerServicer(model, batcher, idle_seconds=settings.idle_seconds)
    batcher.start()
    tell_queued_audio({"steps": lambda: queued_audio_seconds(batcher, model)})
    server = Server(
        [
            Service(
                name=SERVICE,
                register=lambda grpc_server: tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(
                    servicer,  # type: ignore[arg-type]  # the same methods, without the base class
                    grpc_server,
                ),
                probe=servicer.check_health,
            )
        ],
        ServerConfig(
            host=settings.host,
            port=settings.port,
            port_variable=PORT_VARIABLE,
            credentials=credentials,
            grace_seconds=settings.grace_seconds,
        ),
    )
    server.on_stop(batcher.close)
    return server


async def serve_local(settings: Settings, tls: ServerTlsSettings) -> None:
    """Serves until SIGTERM or SIGINT."""
    shutdown_telemetry = setup_telemetry(SERVICE_NAME)
    try:
        model = await asyncio.to_thread(
            load_model,
            settings.model_dir,
            device=settings.device,
            dtype=settings.dtype,
            num_threads=settings.num_threads,
            reproducible=settings.reproducible,
        )
        await make_server(settings, model, server_credentials(tls)).serve_until_signal()
    finally:
        shutdown_telemetry()
