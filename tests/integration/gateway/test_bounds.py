"""What is stopped: bodies at their limit, and work whose caller left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import openai
import pytest

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
