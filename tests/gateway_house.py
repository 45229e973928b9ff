"""The gateway on a real HTTP server, before services on a real gRPC server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from services.gateway.app import create_app
from services.gateway.middleware import bearer_token
from services.gateway.neighbours import Neighbours
from uniaudio.client import AsyncSpeechClient
from uniaudio.runtime.ports import listening_socket

MAX_BODY_BYTES = 2 << 20


@contextmanager
def running_gateway(speech_address: str) -> Iterator[str]:
    """The base address of a gateway before these services, in a thread of its own."""
    ready = threading.Event()
    servers: list[uvicorn.Server] = []
    with listening_socket("127.0.0.1", 0, "the test's port") as socket:

        async def serve() -> None:
            async with AsyncSpeechClient(
                speech_address,
                timeout_seconds=20,
                token=bearer_token,
            ) as speech:
                neighbours = Neighbours(speech=speech, max_request_seconds=20)
                app = create_app(neighbours, max_body_bytes=MAX_BODY_BYTES)
                server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
                servers.append(server)
                ready.set()
                await server.serve(sockets=[socket])

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="gateway")
        thread.start()
        assert ready.wait(10)
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            servers[0].should_exit = True
            thread.join(20)
            assert not thread.is_alive()
