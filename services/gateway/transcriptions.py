"""`/v1/audio/transcriptions`: a recording to text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal, TypedDict

from fastapi import APIRouter, Form
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from services.gateway.document import EVENTS, answered, events
from services.gateway.errors import unsupported
from services.gateway.events import Event, begun, event_response
from services.gateway.languages import language_name
from services.gateway.models import check_model
from services.gateway.neighbours import CallerDep
from services.gateway.subtitles import srt, vtt
from services.gateway.uploads import Recording, read_upload
from uniaudio.v1 import speech_pb2

router = APIRouter(prefix="/v1/audio", tags=["transcriptions"])

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
_USAGE = {"type": "duration", "seconds": 1.2}


class _Asked(TypedDict):
    """What both ways of reading a recording are asked."""

    context_phrases: Sequence[str]
    language: str


@router.post(
    "/transcriptions",
    response_class=Response,
    responses=answered(
        {"text": "Hello there.", "usage": _USAGE},
        also={
            "text/plain": "Hello there.\n",
            "application/x-subrip": "1\n00:00:00,000 --> 00:00:01,200\nHello there.\n\n",
            "text/vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:01.200\nHello there.\n\n",
            EVENTS: events(
                {"type": "transcript.text.delta", "delta": "Hello there."},
                {"type": "transcript.text.done", "text": "Hello there.", "usage": _USAGE},
            ),
        },
    ),
)
async def create_transcription(
    caller: CallerDep,
    file: Recording,
    model: Annotated[str, Form()] = "uniaudio",
    language: Annotated[
        str, Form(description='ISO 639-1 ("en") or a name ("English"); heard if empty.', examples=["en"])
    ] = "",
    prompt: Annotated[
        str,
        Form(
            description="Words that may occur, separated by commas or line breaks.",
            examples=["Ada Lovelace, Analytical Engine"],
        ),
    ] = "",
    response_format: Annotated[ResponseFormat, Form()] = "json",
    temperature: Annotated[float, Form(description="0 only: transcripts are the likeliest words.")] = 0.0,
    timestamp_granularities: Annotated[
        list[str] | None,
        Form(alias="timestamp_granularities[]", description='"segment" only, with verbose_json.'),
    ] = None,
    include: Annotated[
        list[str] | None,
        Form(alias="include[]", description="Nothing: this model gives no log probabilities."),
    ] = None,
    known_speaker_names: Annotated[
        list[str] | None,
        Form(alias="known_speaker_names[]", description="Nobody: speakers are not told apart."),
    ] = None,
    stream: Annotated[bool, Form(description="Server-sent events; with json and text only.")] = False,
) -> Response:
    """The words of a recording."""
    check_model(model)
    _check_kind("include[]", include, "the model gives no log probabilities")
    _check_kind("known_speaker_names[]", known_speaker_names, "speakers are not told apart")
    _check_wishes(response_format, temperature, timestamp_granularities or [], stream)
    recording = await read_upload(file)
    asked: _Asked = {
        "context_phrases": _phrases(prompt),
        "language": language_name(language),
    }
    if stream:
        written = caller.speech.transcribe_progressively(recording, **asked)
        return event_response(await caller.answer(begun(_events(written))))
    return _written(await caller.answer(caller.speech.transcribe(recording, **asked)), response_format)


def _written(heard: speech_pb2.TranscribeResponse, response_format: ResponseFormat) -> Response:
    match response_format:
        case "text":
            return PlainTextResponse(heard.text + "\n")
        case "srt":
            return PlainTextResponse(srt(heard.segments), media_type="application/x-subrip")
        case "vtt":
            return PlainTextResponse(vtt(heard.segments), media_type="text/vtt")
        case "verbose_json":
            return JSONResponse(_verbose(heard))
    return JSONResponse({"text": heard.text, "usage": _usage(heard)})


def _verbose(heard: speech_pb2.TranscribeResponse) -> dict[str, Any]:
    """OpenAI's fields as far as the model knows them: it gives no probabilities and no times of words."""
    segments = [
        {
            "id": number,
            "start": segment.time_range.start_seconds,
            "end": segment.time_range.end_seconds,
            "text": segment.text,
            "language": segment.language,
            "truncated": segment.truncated,
        }
        for number, segment in enumerate(heard.segments)
    ]
    return {
        "task": "transcribe",
        "language": heard.language.lower(),
        "duration": heard.audio_seconds,
        "text": heard.text,
        "segments": segments,
        "usage": _usage(heard),
    }


async def _events(
    written: AsyncGenerator[speech_pb2.TranscribeProgressivelyResponse, None],
) -> AsyncGenerator[Event, None]:
    """Pieces of the text while the model writes it, then the whole."""
    async with aclosing(written):
        async for message in written:
            match message.WhichOneof("message"):
                case "text_delta":
                    yield {"type": "transcript.text.delta", "delta": message.text_delta}
                case "transcript":
                    heard = message.transcript
                    yield {"type": "transcript.text.done", "text": heard.text, "usage": _usage(heard)}


def _usage(heard: speech_pb2.TranscribeResponse) -> dict[str, Any]:
    return {"type": "duration", "seconds": heard.audio_seconds}


def _phrases(prompt: str) -> list[str]:
    pieces = prompt.replace("\n", ",").replace("，", ",").replace("、", ",").split(",")
    return [piece.strip() for piece in pieces if piece.strip()]


def _check_kind(field: str, asked: list[str] | None, why: str) -> None:
    """Raises for a part of OpenAI's answers that this model has nothing to fill with."""
    if asked:
        raise unsupported(field, ", ".join(asked)[:100], "nothing", f"leave it out: {why}")


def _check_wishes(
    response_format: ResponseFormat, temperature: float, granularities: list[str], stream: bool
) -> None:
    """Raises for what OpenAI's API has and this model cannot give; nothing is made up."""
    if "word" in granularities:
        raise unsupported(
            "timestamp_granularities[]",
            "word",
            "segment",
            "the model hears no times of words; ask for segments, or align the words yourself",
        )
    if granularities and response_format != "verbose_json":
        raise unsupported(
            "timestamp_granularities[]",
            f"given with {response_format}",
            "verbose_json",
            "ask for verbose_json",
        )
    if temperature != 0:
        raise unsupported(
            "temperature", temperature, "0", "transcripts are the likeliest words: leave it at 0"
        )
    if stream and response_format not in ("json", "text"):
        raise unsupported(
            "stream", f"true with {response_format}", "json, text", "ask for json, or do not stream"
        )
