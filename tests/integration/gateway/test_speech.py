"""Speech over HTTP by OpenAI's client: while it is made, as events, in a given voice; what is refused."""

from __future__ import annotations

import base64
import threading

import httpx2 as httpx
import numpy as np
import openai
import pytest

from tests.fakes_server import NUM_SAMPLES, FakeServices, tone
from tests.gateway_house import WAV, error_of, events_of
from uniaudio.v1 import audio_pb2


def test_openai_speaks_while_it_is_made(fake: FakeServices, client: openai.OpenAI) -> None:
    go_on = threading.Event()
    fake.wait_after_first_piece = lambda _context: go_on.wait(10)
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="default", input="hello", response_format="pcm", extra_body={"seed": 7}
    ) as answer:
        pieces = answer.iter_bytes()
        first = next(pieces)
        go_on.set()
        content = first + b"".join(pieces)
    assert len(first) == NUM_SAMPLES
    np.testing.assert_array_equal(np.frombuffer(content, "<i2"), (tone() * 32767).astype("<i2"))
    request = fake.requests[0]
    assert (request.text, request.sampling.seed) == ("hello", 7)
    assert request.output_format.encoding == audio_pb2.AUDIO_ENCODING_PCM_S16LE
    assert request.output_format.sample_rate == 24_000


def test_speech_as_events_ends_with_its_report(fake: FakeServices, http: httpx.Client) -> None:
    answer = http.post(
        "/v1/audio/speech", json={"input": "hello", "response_format": "wav", "stream_format": "sse"}
    )
    events = events_of(answer)
    assert [event["type"] for event in events] == [
        "speech.audio.delta",
        "speech.audio.delta",
        "speech.audio.done",
    ]
    assert base64.b64decode(events[0]["audio"])[:4] == b"RIFF"
    assert events[-1]["report"]["spoken_text"] == "hello"


def test_a_prompt_voice_may_be_uploaded(fake: FakeServices, http: httpx.Client) -> None:
    sent = {"input": "hello", "prompt_audio": base64.b64encode(WAV).decode(), "prompt_text": "what it says"}
    assert http.post("/v1/audio/speech", json=sent).status_code == 200
    request = fake.requests[0]
    assert (request.prompt_audio.content, request.prompt_text) == (WAV, "what it says")
    refused = http.post("/v1/audio/speech", json={"input": "hello", "prompt_audio": "no base64!"})
    assert (refused.status_code, error_of(refused)["code"]) == (400, "invalid_audio")


@pytest.mark.parametrize("voice", ["ada", {"id": "ada"}])
def test_a_registered_voice_goes_by_its_name(
    fake: FakeServices, client: openai.OpenAI, voice: object
) -> None:
    client.audio.speech.create(model="uniaudio", input="hello", voice=voice)  # type: ignore[arg-type]
    assert fake.requests[0].voice_id == "ada"


@pytest.mark.parametrize(
    ("more", "status", "code", "param"),
    [
        ({"model": "gpt-7"}, 404, "model_not_found", "model"),
        ({"speed": 2}, 400, "unsupported_parameter", "speed"),
        ({"instructions": "happily"}, 400, "unsupported_parameter", "instructions"),
        ({"response_format": "aac"}, 400, "unsupported_format", "response_format"),
        ({"input": ""}, 400, "invalid_input", "input"),
        ({"seed": -1}, 400, "invalid_input", "seed"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    fake: FakeServices, http: httpx.Client, more: dict[str, object], status: int, code: str, param: str
) -> None:
    answer = http.post("/v1/audio/speech", json={"input": "hello", **more})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert fake.requests == []
