"""Transcripts over HTTP by OpenAI's client: formats, what is not invented, and text while it is written."""

from __future__ import annotations

import threading

import httpx2 as httpx
import openai
import pytest

from tests.fakes_server import FakeServices
from tests.gateway_house import WAV, error_of
from uniaudio.errors import InvalidInputError


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


@pytest.mark.parametrize(
    ("field", "value"),
    [("include[]", "logprobs"), ("known_speaker_names[]", "Ada"), ("temperature", "0.5"), ("stream", "srt")],
)
def test_what_this_model_has_not_is_refused_by_name(http: httpx.Client, field: str, value: str) -> None:
    form = {"stream": "true", "response_format": value} if field == "stream" else {field: value}
    refused = http.post("/v1/audio/transcriptions", files={"file": ("a.wav", WAV)}, data=form)
    error = error_of(refused)
    assert (refused.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", field)
