"""`/v1/audio/live`: a WebSocket that hears a microphone and speaks.

What the model allows and no more: it reads whole utterances, so texts come utterance by utterance, grow while
the model writes, and may change until they are final; speech begins when its text has been sent, and does not answer
by itself. Messages of text are JSON with a "type"; messages of bytes are mono 16-bit little-endian samples:

    -> {"type": "start", "sample_rate": 16000, "language": "", "context_phrases": [], "interim_results": true}
    -> bytes                                         the microphone
    <- {"type": "transcript", "text": ..., "final": false, "start": 0.0, "end": 1.2}
    -> {"type": "speak", "text": ..., "seed": 1}     at any time, one after the other
    <- {"type": "speech.start", "sample_rate": 16000}, bytes, {"type": "speech.done", "report": ...}
    -> {"type": "stop"}                              the microphone is off, nothing follows; the rest is read and said
    <- {"type": "end"}

A browser can set no header; it sends its token as a protocol: `new WebSocket(url, ["uniaudio", "bearer." + token])`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from services.gateway.errors import error_body
from services.gateway.events import as_json
from services.gateway.languages import language_name
from services.gateway.middleware import PROTOCOL
from services.gateway.neighbours import Neighbours
from uniaudio.client import sampling
from uniaudio.errors import InvalidInputError, QueueFullError, UniaudioError

router = APIRouter()

_MAX_WAITING_PIECES = 8
_MAX_WAITING_TEXTS = 8
_START_SECONDS = 30.0
_SAMPLE_RATE = 16_000
_POLICY_VIOLATION, _INTERNAL = 1008, 1011


class Start(BaseModel):
    """The first message: what the microphone sends."""

    type: Literal["start"]
    sample_rate: Annotated[int, Field(ge=4_000, le=192_000)] = _SAMPLE_RATE
    language: str = ""
    context_phrases: list[str] = []
    interim_results: bool = True


class Speak(BaseModel):
    """A text to speak."""

    type: Literal["speak"]
    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    seed: Annotated[int | None, Field(ge=0, lt=2**64)] = None


class Stop(BaseModel):
    """The microphone is off."""

    type: Literal["stop"]


_Later: TypeAdapter[Speak | Stop] = TypeAdapter(Annotated[Speak | Stop, Field(discriminator="type")])


@router.websocket("/v1/audio/live")
async def live(socket: WebSocket) -> None:
    """One conversation: texts of the microphone, speech of texts."""
    offered = socket.scope.get("subprotocols", [])
    await socket.accept(PROTOCOL if PROTOCOL in offered else None)
    try:
        await Conversation(socket).run()
    except WebSocketDisconnect:
        return
    except UniaudioError as error:
        await socket.send_json({"type": "error", **error_body(error)})
        code = _POLICY_VIOLATION if isinstance(error, InvalidInputError) else _INTERNAL
        await socket.close(code, error.reason)
        return
    await socket.send_json({"type": "end"})
    await socket.close()


class Conversation:
    """The two directions of one socket, each with its bounded queue."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._neighbours: Neighbours = socket.app.state.neighbours
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_WAITING_PIECES)
        self._texts: asyncio.Queue[Speak | None] = asyncio.Queue(_MAX_WAITING_TEXTS)

    async def run(self) -> None:
        """Until both directions have ended."""
        start = await self._started()
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read())
                await asyncio.wait({tasks.create_task(self._hear(start)), tasks.create_task(self._speak())})
                reading.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _started(self) -> Start:
        try:
            async with asyncio.timeout(_START_SECONDS):
                return Start.model_validate_json(await self._socket.receive_text())
        except TimeoutError as error:
            raise _bad(f"no start within {_START_SECONDS:g} s") from error
        except (ValidationError, KeyError) as error:
            raise _bad(_why(error)) from error

    async def _read(self) -> None:
        """Puts what comes where it belongs until `stop`; who leaves, before it or after, ends everything."""
        while not isinstance(told := await self._received(), Stop):
            if isinstance(told, bytes):
                await self._pieces.put(told)  # a full queue holds the sender back
                continue
            try:
                self._texts.put_nowait(told)
            except asyncio.QueueFull as error:
                raise _too_many_texts() from error
        await self._pieces.put(None)
        await self._texts.put(None)
        await self._received()
        raise _bad("something followed stop")

    async def _received(self) -> bytes | Speak | Stop:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        if message.get("bytes") is not None:
            content: bytes = message["bytes"]
            return content
        try:
            return _Later.validate_json(message.get("text") or "")
        except ValidationError as error:
            raise _bad(_why(error)) from error

    async def _hear(self, start: Start) -> None:
        texts = self._neighbours.speech.stream_transcribe(
            self._microphone(),
            sample_rate=start.sample_rate,
            context_phrases=start.context_phrases,
            language=language_name(start.language),
            interim_results=start.interim_results,
        )
        async for heard in texts:
            times = heard.segment.time_range
            await self._socket.send_json(
                {
                    "type": "transcript",
                    "text": heard.segment.text,
                    "final": heard.final,
                    "start": times.start_seconds,
                    "end": times.end_seconds,
                }
            )

    async def _microphone(self) -> AsyncGenerator[bytes, None]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def _speak(self) -> None:
        while (order := await self._texts.get()) is not None:
            stream = self._neighbours.speech.synthesize(
                order.text,
                sampling=sampling(seed=order.seed),
                output_format="pcm",
            )
            async with stream:
                await self._socket.send_json({"type": "speech.start", "sample_rate": _SAMPLE_RATE})
                async for piece in stream.audio():
                    await self._socket.send_bytes(piece.content)
                await self._socket.send_json({"type": "speech.done", "report": as_json(stream.report)})


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}"
    return "the first message is not text"


def _bad(why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{why}; begin with start, then send bytes, speak and stop",
        reason="BAD_MESSAGE",
        value=why,
        limit="start, bytes, speak, stop",
        remedy="begin with start, then send bytes, speak and stop",
    )


def _too_many_texts() -> QueueFullError:
    return QueueFullError(
        f"{_MAX_WAITING_TEXTS} texts wait to be spoken; send the next one after a speech.done",
        value=_MAX_WAITING_TEXTS + 1,
        limit=_MAX_WAITING_TEXTS,
        remedy="send the next one after a speech.done",
    )
