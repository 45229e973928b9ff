"""The gateway on a real HTTP server, before services on a real gRPC server, and how its answers are read."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn

from services.gateway.app import create_app
from services.gateway.bounds import Bounds
from services.gateway.middleware import bearer_token, current_request_id
from services.gateway.neighbours import Neighbours
from tests.fakes_server import FakeServices, serve
from uniaudio.audio.encode import wav_header
from uniaudio.client import AsyncSpeechClient
from uniaudio.runtime.ports import listening_socket

MAX_BODY_BYTES = 2 << 20
WAV = wav_header(16_000, 1600) + bytes(3200)
"""A recording of 0.1 s of silence."""


@contextmanager
def running_gateway(
    speech_address: str, *, max_request_seconds: float = 20.0, traces_url: str = "", **bounds: Any
) -> Iterator[str]:
    """The base address of a gateway before these services and within these bounds, in a thread of its own."""
    ready = threading.Event()
    servers: list[uvicorn.Server] = []
    with listening_socket("127.0.0.1", 0, "the test's port") as socket:

        async def serve() -> None:
            async with AsyncSpeechClient(
                speech_address,
                timeout_seconds=20,
                token=bearer_token,
                request_id=current_request_id,
            ) as speech:
                neighbours = Neighbours(
                    speech=speech, max_request_seconds=max_request_seconds, traces_url=traces_url
                )
                app = create_app(neighbours, Bounds(**{"max_body_bytes": MAX_BODY_BYTES, **bounds}))
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


@pytest.fixture(scope="module")
def services() -> Iterator[FakeServices]:
    with serve(FakeServices()) as services:
        yield services


@pytest.fixture(scope="module")
def address(services: FakeServices) -> Iterator[str]:
    with running_gateway(services.address) as address:
        yield address


@pytest.fixture
def fake(services: FakeServices) -> FakeServices:
    services.forget()
    return services


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The server-sent events of an answer that is one."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error that an answer tells, in OpenAI's shape."""
    error: dict[str, Any] = answer.json()["error"]
    return error
