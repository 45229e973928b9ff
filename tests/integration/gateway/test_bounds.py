"""What is stopped: bodies at their limits, requests beyond a crowd, and work whose caller left."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.fakes_server import FakeServices
from tests.gateway_house import MAX_BODY_BYTES, WAV, error_of, running_gateway
from tests.orchestrator_house import running_house


def test_uploads_are_stopped_at_their_limit(address: str, http: httpx.Client) -> None:
    big = bytes(MAX_BODY_BYTES + 1)
    answer = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", big)})
    assert (answer.status_code, error_of(answer)["code"]) == (413, "body_too_large")
    num_sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal num_sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while num_sent < 64 << 20:
            num_sent += 1 << 16
            yield bytes(1 << 16)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    try:
        status = http.post("/v1/audio/transcriptions", content=endless(), headers=headers).status_code
    except httpx.WriteError:  # the door was closed while it still sent
        status = 413
    assert status == 413
    assert num_sent < 32 << 20


def test_a_body_that_stops_coming_is_refused(services: FakeServices) -> None:
    headers = b"host: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n"
    with running_gateway(services.address, max_silence_seconds=0.2) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST /v1/audio/speech HTTP/1.1\r\n" + headers + b"\r\n{")
            with connection.makefile("rb") as answer:
                told = answer.read()  # to the end: the gateway closes the connection
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in told


def test_bodies_find_room_beside_others_or_are_told_to_come_back(services: FakeServices) -> None:
    with running_gateway(services.address, max_held_bytes=4096) as address:
        with httpx.Client(base_url=address, timeout=20) as http:
            for _ in range(3):  # what was answered holds nothing any more
                assert (
                    http.post("/v1/audio/transcriptions", files={"file": ("a.wav", WAV)}).status_code == 200
                )
            refused = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", WAV + bytes(4096))})
    assert (refused.status_code, error_of(refused)["code"]) == (429, "queue_full")
    assert refused.headers["retry-after"] == "1"


def test_a_crowd_is_told_to_come_back_and_probes_are_answered(fake: FakeServices) -> None:
    go_on = threading.Event()
    fake.wait_after_first_piece = lambda _context: go_on.wait(10)
    order = {"input": "hello", "response_format": "wav"}
    with running_gateway(fake.address, max_requests=1) as address:
        with httpx.Client(base_url=address, timeout=20) as http:
            with http.stream("POST", "/v1/audio/speech", json=order) as first:
                refused = http.get("/v1/models")
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
                assert error_of(refused)["type"] == "rate_limit_error"
                assert http.get("/health/ready").status_code == 200
                with pytest.raises(InvalidStatus):
                    connect(address.replace("http", "ws") + "/v1/audio/live").close()
                go_on.set()
                first.read()
            assert http.get("/v1/models").status_code == 200


def test_what_takes_too_long_is_ended(fake: FakeServices) -> None:
    go_on = threading.Event()
    fake.wait_after_first_piece = lambda _context: go_on.wait(10)
    order = {"instruction": "make it louder", "stream_format": "json"}
    with running_gateway(fake.address, max_request_seconds=0.3) as address:
        answer = httpx.post(
            f"{address}/v1/audio/edits", files={"file": ("a.wav", WAV)}, data=order, timeout=20
        )
        go_on.set()
    assert (answer.status_code, error_of(answer)["code"]) == (504, "deadline_exceeded")


def test_who_leaves_ends_the_work(fake: FakeServices, http: httpx.Client) -> None:
    fake.wait_after_first_piece = lambda _context: fake.cancelled.wait(10)
    with http.stream("POST", "/v1/audio/speech", json={"input": "hello", "response_format": "wav"}) as answer:
        next(answer.iter_bytes())
    assert fake.cancelled.wait(5)


def test_who_stops_reading_a_transcript_stops_the_model(fake: FakeServices, client: openai.OpenAI) -> None:
    fake.wait_after_first_piece = lambda _context: fake.cancelled.wait(10)
    with client.audio.transcriptions.create(model="uniaudio", file=("a.wav", WAV), stream=True) as events:
        next(iter(events))
    assert fake.cancelled.wait(10)


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("/v1/audio/transcriptions", {"files": {"file": ("a.wav", WAV)}, "data": {"stream": "true"}}),
        ("/v1/audio/speech", {"json": {"input": "hello"}}),
    ],
)
async def test_who_leaves_before_anything_came_stops_the_model(path: str, order: dict[str, Any]) -> None:
    async with running_house() as house:
        house.model.pause = lambda _: house.gate
        with running_gateway(house.address) as address:
            async with httpx.AsyncClient(base_url=address, timeout=20) as http:
                asking = asyncio.create_task(http.post(path, **order))
                while house.model.num_open == 0:
                    await asyncio.sleep(0.01)
                asking.cancel()
                while house.model.num_cancelled == 0:
                    await asyncio.sleep(0.01)
            house.gate.set()
