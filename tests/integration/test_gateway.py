"""The gateway over real HTTP before services on real gRPC: OpenAI's client, its errors, streams, and disconnects."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import openai
import pytest
from websockets.sync.client import connect

from tests.fakes_server import NUM_SAMPLES, FakeServices, serve, tone
from tests.gateway_house import MAX_BODY_BYTES, running_gateway
from tests.orchestrator_house import running_house
from uniaudio.audio.encode import wav_header
from uniaudio.errors import InvalidInputError, QueueFullError, UnauthenticatedError, UnavailableError
from uniaudio.v1 import audio_pb2

WAV = wav_header(16_000, 1600) + bytes(3200)


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[FakeServices, str]]:
    with serve(FakeServices()) as fake, running_gateway(fake.address) as address:
        yield fake, address


@pytest.fixture
def fake(house: tuple[FakeServices, str]) -> FakeServices:
    house[0].forget()
    return house[0]


@pytest.fixture
def client(house: tuple[FakeServices, str]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{house[1]}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def http(house: tuple[FakeServices, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house[1], timeout=20) as client:
        yield client


def test_openai_transcribes(fake: FakeServices, client: openai.OpenAI) -> None:
    heard = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", WAV), language="en", prompt="Ming, uni audio\nMoE"
    )
    assert heard.text == "hello there"
    assert heard.usage is not None
    assert heard.usage.type == "duration"
    request = fake.requests[0]
    assert request.audio.content == WAV
    assert (request.language, list(request.context_phrases)) == ("English", ["Ming", "uni audio", "MoE"])


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ("text", "hello there\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:00,200\nhello there\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:00.200\nhello there\n\n"),
    ],
)
def test_openai_gets_texts_and_subtitles(
    fake: FakeServices, client: openai.OpenAI, response_format: str, expected: str
) -> None:
    heard = client.audio.transcriptions.create(
        model="uniaudio",
        file=("a.wav", WAV),
        response_format=response_format,  # type: ignore[call-overload]
    )
    assert heard == expected


def test_openai_gets_segments_and_no_invented_words(fake: FakeServices, client: openai.OpenAI) -> None:
    heard = client.audio.transcriptions.create(
        model="uniaudio",
        file=("a.wav", WAV),
        response_format="verbose_json",
        timestamp_granularities=["segment"],
    )
    assert (heard.language, heard.duration) == ("english", 0.2)
    assert heard.segments is not None
    assert [(segment.start, segment.end, segment.text) for segment in heard.segments] == [
        (0, 0.2, "hello there")
    ]
    with pytest.raises(openai.BadRequestError, match="no times of words") as refused:
        client.audio.transcriptions.create(
            model="uniaudio",
            file=("a.wav", WAV),
            response_format="verbose_json",
            timestamp_granularities=["word"],
        )
    assert refused.value.code == "unsupported_parameter"
    assert refused.value.param == "timestamp_granularities[]"


def test_openai_reads_a_transcript_while_it_is_written(fake: FakeServices, client: openai.OpenAI) -> None:
    go_on = threading.Event()
    fake.wait_after_first_piece = lambda _context: go_on.wait(10)
    events = client.audio.transcriptions.create(
        model="uniaudio", file=("a.wav", WAV), language="en", prompt="Ming", stream=True
    )
    first = next(iter(events))
    assert (first.type, first.delta) == ("transcript.text.delta", "hello")
    go_on.set()
    rest = list(events)
    assert [event.type for event in rest] == ["transcript.text.delta", "transcript.text.done"]
    assert rest[-1].text == "hello there"
    request = fake.requests[0]
    assert (request.language, list(request.context_phrases)) == ("English", ["Ming"])


def test_a_streamed_transcript_that_cannot_begin_has_its_status(
    fake: FakeServices, client: openai.OpenAI
) -> None:
    fake.failures["Transcribe"] = [InvalidInputError("no sound in it")]
    with pytest.raises(openai.BadRequestError, match="no sound in it"):
        client.audio.transcriptions.create(model="uniaudio", file=("a.wav", WAV), stream=True)


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


def test_an_edit_streams_plan_audio_and_report(fake: FakeServices, http: httpx.Client) -> None:
    form = {"instruction": "make it twice as fast", "stream_format": "sse", "response_format": "pcm"}
    events = events_of(http.post("/v1/audio/edits", files={"file": ("a.wav", WAV)}, data=form))
    kinds = [event["type"] for event in events]
    assert kinds[0] == "edit.plan"
    assert kinds[-1] == "edit.done"
    assert "".join(e["delta"] for e in events if e["type"] == "edit.reasoning.delta") == "hello there"
    assert events[0]["plan"]["kind"] == "EDIT_KIND_SPEED"
    assert events[-1]["report"]["checks"][0]["measured"] == pytest.approx(0.5001)
    sound = b"".join(base64.b64decode(e["audio"]) for e in events if e["type"] == "edit.audio.delta")
    assert len(sound) == 2 * NUM_SAMPLES


def test_an_edit_as_bytes_as_json_and_as_a_plan(fake: FakeServices, http: httpx.Client) -> None:
    files, form = {"file": ("a.wav", WAV)}, {"instruction": "make it twice as fast"}
    sound = http.post("/v1/audio/edits", files=files, data=form)
    assert (sound.headers["content-type"], sound.content[:4]) == ("audio/wav", b"RIFF")
    whole = http.post("/v1/audio/edits", files=files, data={**form, "stream_format": "json"}).json()
    content = base64.b64decode(whole["audio"])
    assert int.from_bytes(content[40:44], "little") == 2 * NUM_SAMPLES  # its true length
    assert whole["report"]["result_seconds"] == pytest.approx(0.2)
    planned = http.post("/v1/audio/edits", files=files, data={**form, "validate_only": "true"}).json()
    assert planned["plan"]["summary"] == "Twice as fast, same pitch."


def test_latents_there_and_back(fake: FakeServices, http: httpx.Client) -> None:
    tokens = http.post("/v1/audio/tokens", files={"file": ("a.wav", WAV)}).json()
    assert (tokens["object"], tokens["num_frames"], tokens["latent_dim"]) == ("audio.tokens", 5, 4)
    sound = http.post("/v1/audio/tokens/decode", json={"tokens": tokens, "response_format": "pcm"})
    assert len(sound.content) == 2 * round(5 * 320 * 1.5)
    bad = http.post("/v1/audio/tokens/decode", json={"tokens": {**tokens, "num_frames": 6}})
    assert (bad.status_code, error_of(bad)["param"]) == (400, "tokens.data")


def test_the_model_by_its_name(fake: FakeServices, client: openai.OpenAI) -> None:
    models = client.models.list().data
    assert [model.id for model in models] == ["fake-model"]
    assert client.models.retrieve("uniaudio").id == "fake-model"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-7'"):
        client.models.retrieve("gpt-7")


def test_a_full_queue_says_when_to_come_back(fake: FakeServices, http: httpx.Client) -> None:
    fake.failures["Transcribe"] = [QueueFullError("32 requests wait", retry_after_seconds=2.5, limit=32)]
    answer = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", WAV)})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    error = error_of(answer)
    assert (error["type"], error["code"], error["metadata"]["limit"]) == (
        "rate_limit_error",
        "queue_full",
        "32",
    )


def test_openais_client_tries_again_by_itself(fake: FakeServices, client: openai.OpenAI) -> None:
    fake.failures["Synthesize"] = [UnavailableError("the LLM is away")]
    patient = client.with_options(max_retries=1)
    assert patient.audio.speech.create(
        model="tts-1", voice="default", input="hi", response_format="wav"
    ).content


def test_refusals_before_the_first_byte_have_their_status(fake: FakeServices, http: httpx.Client) -> None:
    fake.failures["Edit"] = [InvalidInputError("nothing to delete", field="instruction")]
    answer = http.post("/v1/audio/edits", files={"file": ("a.wav", WAV)}, data={"instruction": "delete x"})
    assert (answer.status_code, error_of(answer)["param"]) == (400, "instruction")


def test_a_failure_in_the_midst_breaks_the_answer_off(fake: FakeServices, http: httpx.Client) -> None:
    def fail(context: object) -> None:
        raise RuntimeError("the card fell off the bus")

    fake.wait_after_first_piece = fail
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v1/audio/speech", json={"input": "hello", "response_format": "wav"})
    events = events_of(http.post("/v1/audio/speech", json={"input": "hello", "stream_format": "sse"}))
    assert events[-1]["type"] == "error"


def test_uploads_are_stopped_at_their_limit(house: tuple[FakeServices, str], http: httpx.Client) -> None:
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


def test_ids_come_back(fake: FakeServices, http: httpx.Client) -> None:
    answer = http.post(
        "/v1/audio/transcriptions", files={"file": ("a.wav", WAV)}, headers={"x-request-id": "mine-1"}
    )
    assert answer.headers["x-request-id"] == "mine-1"
    assert fake.requests[0].request_id == "mine-1"
    made = http.get("/v1/models", headers={"x-request-id": "x" * 200}).headers["x-request-id"]
    assert len(made) == 32


def test_tokens_go_on_to_the_services_that_judge_them(
    fake: FakeServices, client: openai.OpenAI, http: httpx.Client, house: tuple[FakeServices, str]
) -> None:
    client.with_options(api_key="secret-1").models.list()
    assert fake.metadata["authorization"] == "Bearer secret-1"
    http.get("/v1/models")
    assert "authorization" not in fake.metadata
    address = house[1].replace("http", "ws") + "/v1/audio/live"
    with connect(address, subprotocols=["uniaudio", "bearer.secret-2"]) as socket:
        assert socket.subprotocol == "uniaudio"
        socket.send(json.dumps({"type": "start"}))
        socket.send(bytes(3200))
        socket.recv(10)
    assert fake.metadata["authorization"] == "Bearer secret-2"
    fake.failures["GetInfo"] = [UnauthenticatedError("no such token")]
    refused = http.get("/v1/models")
    assert (refused.status_code, error_of(refused)["type"]) == (401, "authentication_error")


def test_health_and_document(fake: FakeServices, http: httpx.Client) -> None:
    assert http.get("/health/live").json() == {"status": "live"}
    assert http.get("/health/ready").json()["status"] == "ready"
    fake.failures["GetInfo"] = [UnavailableError("the LLM is away")] * 5
    assert http.get("/health/ready").status_code == 503
    document = http.get("/openapi.json").json()
    assert {"/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/edits"} <= set(document["paths"])
    missing = http.get("/v1/nothing")
    assert (missing.status_code, error_of(missing)["type"]) == (404, "invalid_request_error")


def test_a_live_conversation(fake: FakeServices, house: tuple[FakeServices, str]) -> None:
    with connect(house[1].replace("http", "ws") + "/v1/audio/live") as socket:
        socket.send(json.dumps({"type": "start", "sample_rate": 16000, "language": "en"}))
        socket.send(bytes(3200))
        assert json.loads(socket.recv(10))["text"] == "heard 3200"
        socket.send(json.dumps({"type": "speak", "text": "hello", "seed": 3}))
        assert json.loads(socket.recv(10))["type"] == "speech.start"
        sound = socket.recv(10) + socket.recv(10)
        assert len(sound) == 2 * NUM_SAMPLES
        assert json.loads(socket.recv(10))["report"]["seed"] == "3"
        socket.send(json.dumps({"type": "stop"}))
        last = json.loads(socket.recv(10))
        assert (last["text"], last["final"]) == ("all 3200", True)
        assert json.loads(socket.recv(10)) == {"type": "end"}


@pytest.mark.parametrize("first", ["{}", '{"type": "start", "sample_rate": 1}', "no json"])
def test_a_live_conversation_begins_with_start(house: tuple[FakeServices, str], first: str) -> None:
    with connect(house[1].replace("http", "ws") + "/v1/audio/live") as socket:
        socket.send(first)
        told = json.loads(socket.recv(10))
        assert (told["type"], told["error"]["code"]) == ("error", "bad_message")


def events_of(answer: httpx.Response) -> list[dict]:
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def error_of(answer: httpx.Response) -> dict:
    return answer.json()["error"]
