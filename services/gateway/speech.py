"""`/v1/audio/speech`: text to speech, sent while it is made."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from services.gateway.document import EVENTS, events
from services.gateway.errors import unsupported
from services.gateway.events import Event, as_base64, as_json, audio_response, begun, event_response, sound_of
from services.gateway.formats import ResponseFormat, WrittenAs, sounding, written_as
from services.gateway.models import check_model
from services.gateway.neighbours import Caller, CallerDep
from uniaudio.client import AsyncSpeechStream, Normalization, sampling
from uniaudio.errors import InvalidAudioError

router = APIRouter(prefix="/v1/audio", tags=["speech"])

DEFAULT_VOICE = "default"


class VoiceId(BaseModel):
    """A voice by its id, as OpenAI writes custom voices."""

    id: str


class SpeechRequest(BaseModel):
    """OpenAI's fields, and below them what this model can do beyond."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "uniaudio", "input": "Hello there.", "voice": "default", "response_format": "wav"}
            ]
        }
    )

    model: str = "uniaudio"
    input: Annotated[str, Field(min_length=1, max_length=20_000, description="What to say.")]
    voice: Annotated[
        str | VoiceId,
        Field(description='"default": one of the model\'s own; or a voice of /v1/audio/voices.'),
    ] = DEFAULT_VOICE
    response_format: ResponseFormat = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    speed: Annotated[float, Field(description="1 only: change it afterwards by POST /v1/audio/edits.")] = 1.0
    instructions: Annotated[str, Field(description="Not understood by this model: leave it empty.")] = ""
    prompt_audio: Annotated[
        str | None, Field(description="A recording of the voice to imitate, 0.5 to 30 s, base64.")
    ] = None
    prompt_text: Annotated[str, Field(max_length=2_000, description="What it says; heard if empty.")] = ""
    normalization: Annotated[Normalization, Field(description="How numbers and dates are read.")] = "auto"
    seed: Annotated[int | None, Field(ge=0, lt=2**64, description="The same seed, the same audio.")] = None
    guidance_scale: Annotated[float | None, Field(ge=1, le=20)] = None
    temperature: Annotated[float | None, Field(ge=0, le=4)] = None
    num_solver_steps: Annotated[int | None, Field(ge=1, le=64)] = None
    takes: Annotated[
        int | None,
        Field(ge=1, le=16, description="Tries until it is heard right; 1 sends sound as it is made."),
    ] = None


@router.post(
    "/speech",
    response_class=Response,
    responses=sounding(
        {
            EVENTS: events(
                {"type": "speech.audio.delta", "audio": "SUQzBAAAAAAA"},
                {"type": "speech.audio.done", "report": {"spoken_text": "Hello there.", "seed": "7"}},
            )
        }
    ),
)
async def create_speech(order: SpeechRequest, caller: CallerDep) -> Response:
    """Speech of a text: chunked audio, or with `stream_format` "sse" events with base64 audio."""
    check_model(order.model)
    _check_wishes(order)
    written = written_as(order.response_format)
    stream = _open(order, written, caller)
    if order.stream_format == "sse":
        return event_response(await caller.answer(begun(_events(stream))))
    return audio_response(await caller.answer(begun(sound_of(stream))), written.media_type)


def _open(order: SpeechRequest, written: WrittenAs, caller: Caller) -> AsyncSpeechStream:
    name = order.voice.id if isinstance(order.voice, VoiceId) else order.voice
    return caller.speech.synthesize(
        order.input,
        prompt_audio=_decoded(order.prompt_audio),
        prompt_text=order.prompt_text,
        voice_id="" if name == DEFAULT_VOICE else name,
        normalization=order.normalization,
        sampling=sampling(
            seed=order.seed,
            guidance_scale=order.guidance_scale,
            temperature=order.temperature,
            num_solver_steps=order.num_solver_steps,
            takes=order.takes,
        ),
        output_format=written.format,
        output_sample_rate=written.sample_rate,
    )


async def _events(stream: AsyncSpeechStream) -> AsyncGenerator[Event, None]:
    async with aclosing(sound_of(stream)) as pieces:
        async for content in pieces:
            yield {"type": "speech.audio.delta", "audio": as_base64(content)}
    report = as_json(stream.report)
    # OpenAI counts tokens here; this model has none that would compare, so the report says what was made.
    yield {"type": "speech.audio.done", "report": report}


def _decoded(prompt: str | None) -> bytes | None:
    if prompt is None:
        return None
    try:
        return base64.b64decode(prompt, validate=True)
    except ValueError as error:
        raise InvalidAudioError(
            f"prompt_audio is not base64 ({error}); encode the file's bytes",
            field="prompt_audio",
            value=str(error),
            limit="base64",
            remedy="encode the file's bytes",
        ) from error


def _check_wishes(order: SpeechRequest) -> None:
    """Raises for what OpenAI's API has and this model cannot do."""
    if order.speed != 1.0:
        raise unsupported(
            "speed", order.speed, "1", "send the speech to /v1/audio/edits: 'make it 1.5 times faster'"
        )
    if order.instructions:
        raise unsupported(
            "instructions", "a text", "none", "leave it out, or give prompt_audio that sounds as wanted"
        )
