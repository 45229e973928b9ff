"""`/v1/audio/edits`: a recording and an instruction to an edited recording and a report."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import JSONResponse, Response

from services.gateway.document import EVENTS, JSON, events
from services.gateway.events import Event, as_base64, as_json, audio_response, begun, event_response, sound_of
from services.gateway.formats import ResponseFormat, WrittenAs, sounding, written_as
from services.gateway.models import check_model
from services.gateway.neighbours import CallerDep
from services.gateway.uploads import Recording, read_upload
from uniaudio.client import (
    AsyncEditStream,
    AudioPiece,
    EditPlan,
    EditReport,
    Engine,
    Progress,
    ReasoningText,
    sampling,
)

router = APIRouter(prefix="/v1/audio", tags=["edits"])

StreamFormat = Literal["audio", "sse", "json"]
_WHOLE = {
    "audio": "UklGRiTzAABXQVZF",
    "media_type": "audio/wav",
    "reasoning": "",
    "report": {
        "plan": {"kind": "EDIT_KIND_SPEED", "engine": "EDIT_ENGINE_EXACT", "value": 1.5},
        "source_seconds": 3.0,
        "result_seconds": 2.0,
        "checks": [
            {"name": "length", "verdict": "CHECK_VERDICT_PASSED", "expected": 0.667, "measured": 0.667}
        ],
    },
}
_EVENTS = events(
    {"type": "edit.plan", "plan": {"kind": "EDIT_KIND_SPEED", "engine": "EDIT_ENGINE_EXACT", "value": 1.5}},
    {"type": "edit.progress", "stage": "editing", "fraction": 0.5},
    {"type": "edit.audio.delta", "audio": "UklGRv////9XQVZF"},
    {"type": "edit.done", "report": _WHOLE["report"]},
)


@router.post(
    "/edits",
    response_class=Response,
    responses=sounding({JSON: _WHOLE, EVENTS: _EVENTS}),
)
async def create_edit(
    caller: CallerDep,
    file: Recording,
    instruction: Annotated[
        str,
        Form(
            min_length=1,
            max_length=2_000,
            description="What to do, in English or Chinese.",
            examples=["make it 1.5 times faster"],
        ),
    ],
    model: Annotated[str, Form()] = "uniaudio",
    engine: Annotated[
        Engine, Form(description="exact: signal processing or nothing; model: the model, always.")
    ] = "auto",
    transcript: Annotated[
        str, Form(max_length=20_000, description="What the recording says, if you know.")
    ] = "",
    regenerate_untouched: Annotated[bool, Form(description="The model's audio throughout.")] = False,
    validate_only: Annotated[bool, Form(description="Answer the plan alone, as JSON.")] = False,
    seed: Annotated[int | None, Form(ge=0, lt=2**64)] = None,
    response_format: Annotated[ResponseFormat, Form()] = "wav",
    stream_format: Annotated[
        StreamFormat,
        Form(description="audio: its bytes as they are made; sse: events; json: everything in one object."),
    ] = "audio",
) -> Response:
    """The recording, changed as the instruction says."""
    check_model(model)
    written = written_as(response_format)
    stream = caller.speech.edit(
        await read_upload(file),
        instruction,
        engine=engine,
        transcript=transcript,
        regenerate_untouched=regenerate_untouched,
        validate_only=validate_only,
        sampling=sampling(seed=seed),
        output_format=written.format,
        output_sample_rate=written.sample_rate,
    )
    if validate_only:
        return await caller.answer(_planned(stream))
    if stream_format == "json":
        return await caller.answer(_whole(stream, written))
    if stream_format == "sse":
        return event_response(await caller.answer(begun(_events(stream))))
    return audio_response(await caller.answer(begun(sound_of(stream))), written.media_type)


async def _planned(stream: AsyncEditStream) -> Response:
    async with stream:
        async for _ in stream:
            pass
    return JSONResponse({"plan": as_json(stream.plan)})


async def _whole(stream: AsyncEditStream, written: WrittenAs) -> Response:
    async with stream:
        content = await stream.read()
    return JSONResponse(
        {
            "audio": as_base64(content),
            "media_type": written.media_type,
            "reasoning": stream.reasoning_text,
            "report": as_json(stream.report),
        }
    )


async def _events(stream: AsyncEditStream) -> AsyncGenerator[Event, None]:
    async with stream:
        async for event in stream:
            match event:
                case EditPlan():
                    yield {"type": "edit.plan", "plan": as_json(event)}
                case ReasoningText(text=text):
                    yield {"type": "edit.reasoning.delta", "delta": text}
                case Progress(stage=stage, fraction=fraction):
                    yield {"type": "edit.progress", "stage": stage, "fraction": fraction}
                case AudioPiece():
                    yield {"type": "edit.audio.delta", "audio": as_base64(event.content)}
                case EditReport():
                    yield {"type": "edit.done", "report": as_json(event)}
