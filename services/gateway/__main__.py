"""Starts the gateway: `python -m services.gateway`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

import uvicorn

from services.gateway.app import create_app
from services.gateway.bounds import Bounds
from services.gateway.middleware import bearer_token, current_request_id
from services.gateway.neighbours import Neighbours
from services.gateway.settings import PROCESS_NAME, GatewaySettings
from uniaudio.client import AsyncSpeechClient
from uniaudio.errors import UniaudioError
from uniaudio.runtime.guard.addresses import require_loopback
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.ports import listening_socket
from uniaudio.runtime.settings import read_settings, settings_parser
from uniaudio.runtime.telemetry import setup_telemetry
from uniaudio.runtime.tls import ClientTlsSettings, ServerTlsSettings, client_credentials, server_context


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal; 0 after a clean stop, 1 when the service could not start."""
    settings_parser(
        "python -m services.gateway",
        "The door for people: an OpenAI-compatible HTTP API before the orchestrator.",
        GatewaySettings,
        ServerTlsSettings,
        ClientTlsSettings,
    ).parse_args(arguments)
    setup_logging(PROCESS_NAME)
    try:
        settings = read_settings(GatewaySettings)
        setup_logging(PROCESS_NAME, settings.log_level)
        require_loopback(
            settings.host,
            allow_anonymous=settings.allow_anonymous,
            remedy="tokens up at the orchestrator, which judges them for this door too",
        )
        asyncio.run(serve(settings, read_settings(ServerTlsSettings), read_settings(ClientTlsSettings)))
    except UniaudioError as error:
        get_logger(__name__).error("cannot serve", reason=error.reason, error=error.message)
        return 1
    return 0


async def serve(settings: GatewaySettings, shown: ServerTlsSettings, believed: ClientTlsSettings) -> None:
    """Serves until SIGTERM or SIGINT; requests that run then may finish within the grace."""
    context = server_context(shown)
    # uvicorn raises what stopped it again, once it has stopped; what is to be closed here comes after that.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))
    stop_telemetry = setup_telemetry(PROCESS_NAME)
    speech = AsyncSpeechClient(
        settings.orchestrator_address,
        timeout_seconds=settings.max_request_seconds,
        token=bearer_token,
        request_id=current_request_id,
        credentials=client_credentials(believed),
        server_name=believed.server_name,
    )
    neighbours = Neighbours(
        speech=speech, max_request_seconds=settings.max_request_seconds, traces_url=settings.traces_url
    )
    try:
        with listening_socket(settings.host, settings.port, "UNIAUDIO_GATEWAY_PORT") as socket:
            server = uvicorn.Server(
                uvicorn.Config(
                    create_app(neighbours, _bounds(settings)),
                    log_config=None,  # this process's own
                    access_log=False,  # one line a request, in the middleware
                    limit_concurrency=settings.max_connections,
                    timeout_graceful_shutdown=round(settings.grace_seconds),
                    ws_max_size=1 << 20,
                    ws_max_queue=4,
                    server_header=False,
                    ssl_context_factory=None if context is None else lambda _config, _default: context,
                )
            )
            get_logger(__name__).info(
                "listening", address=f"{settings.host}:{socket.getsockname()[1]}", tls=shown.is_on
            )
            await server.serve(sockets=[socket])
    finally:
        await speech.close()
        await asyncio.to_thread(stop_telemetry)


def _bounds(settings: GatewaySettings) -> Bounds:
    return Bounds(
        max_requests=settings.max_requests,
        max_body_bytes=settings.max_body_bytes,
        max_held_bytes=settings.max_held_bytes,
        max_body_seconds=settings.max_request_seconds,
        max_silence_seconds=settings.max_silence_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
