"""Errors in OpenAI's shape, ids and tokens in and out, models, health."""

from __future__ import annotations

import json

import httpx2 as httpx
import openai
import pytest
from websockets.sync.client import connect

from tests.fakes_server import FakeServices
from tests.gateway_house import WAV, error_of, events_of
from uniaudio.errors import InvalidInputError, QueueFullError, UnauthenticatedError, UnavailableError


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


def test_ids_come_back(fake: FakeServices, http: httpx.Client) -> None:
    answer = http.post(
        "/v1/audio/transcriptions", files={"file": ("a.wav", WAV)}, headers={"x-request-id": "mine-1"}
    )
    assert answer.headers["x-request-id"] == "mine-1"
    assert fake.metadata["x-request-id"] == "mine-1"
    made = http.get("/v1/models", headers={"x-request-id": "x" * 200}).headers["x-request-id"]
    assert len(made) == 32


def test_tokens_go_on_to_the_services_that_judge_them(
    fake: FakeServices, client: openai.OpenAI, http: httpx.Client, address: str
) -> None:
    client.with_options(api_key="secret-1").models.list()
    assert fake.metadata["authorization"] == "Bearer secret-1"
    http.get("/v1/models")
    assert "authorization" not in fake.metadata
    address = address.replace("http", "ws") + "/v1/audio/live"
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
