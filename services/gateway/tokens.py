"""`/v1/audio/tokens`: a recording to latents, and latents to a waveform."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Form
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.gateway.events import as_base64
from services.gateway.formats import ResponseFormat, sounding, written_as
from services.gateway.neighbours import CallerDep
from services.gateway.uploads import Recording, read_upload
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import InvalidInputError

router = APIRouter(prefix="/v1/audio/tokens", tags=["tokens"])

_EXAMPLE: JsonDict = {
    "object": "audio.tokens",
    "num_frames": 1,
    "latent_dim": 4,
    "data": "AACAPwAAAMAAAAA/AAAAAA==",
}


class Tokens(BaseModel):
    """Latents `(num_frames, latent_dim)`, 50 frames a second; `data` is little-endian float32, base64."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    object: Literal["audio.tokens"] = "audio.tokens"
    num_frames: Annotated[int, Field(ge=1)]
    latent_dim: Annotated[int, Field(ge=1, le=4096)]
    data: str


class DecodeRequest(BaseModel):
    """Latents, and how the waveform is written."""

    tokens: Tokens
    response_format: ResponseFormat = "wav"


@router.post("")
async def encode(
    caller: CallerDep,
    file: Recording,
    sample: Annotated[bool, Form(description="A sample of the posterior instead of its mean.")] = False,
    seed: Annotated[int, Form(ge=0, lt=2**64)] = 0,
) -> Tokens:
    """The recording's latents."""
    content = await read_upload(file)
    latents = await caller.answer(caller.speech.encode(content, sample=sample, seed=seed))
    frames = np.asarray(latents, dtype="<f4")
    return Tokens(num_frames=frames.shape[0], latent_dim=frames.shape[1], data=as_base64(frames.tobytes()))


@router.post("/decode", response_class=Response, responses=sounding())
async def decode(order: DecodeRequest, caller: CallerDep) -> Response:
    """The waveform of latents."""
    written = written_as(order.response_format)
    waveform = await caller.answer(caller.speech.decode(_frames(order.tokens)))
    encoding = AudioEncoding.PCM_S16LE if written.format == "pcm" else AudioEncoding(written.format)
    asked = AudioFormat(encoding=encoding, sample_rate=written.sample_rate or 0)
    content = await asyncio.to_thread(encode_audio, waveform, asked)
    return Response(content, media_type=written.media_type)


def _frames(tokens: Tokens) -> NDArray[np.float32]:
    expected = tokens.num_frames * tokens.latent_dim * 4
    try:
        content = base64.b64decode(tokens.data, validate=True)
    except ValueError as error:
        raise _bad(f"tokens.data is not base64: {error}", str(error)) from error
    if len(content) != expected:
        raise _bad(
            f"tokens.data has {len(content)} bytes, {tokens.num_frames} frames of {tokens.latent_dim} have {expected}",
            f"{len(content)} bytes",
        )
    return np.frombuffer(content, "<f4").reshape(tokens.num_frames, tokens.latent_dim).astype(np.float32)


def _bad(what: str, value: str) -> InvalidInputError:
    remedy = "send what POST /v1/audio/tokens answered"
    return InvalidInputError(
        f"{what}; {remedy}",
        field="tokens.data",
        value=value,
        limit="num_frames * latent_dim float32 values",
        remedy=remedy,
    )
