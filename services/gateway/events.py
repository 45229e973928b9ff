"""Answers that come piece by piece: audio as bytes, or server-sent events."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi.responses import StreamingResponse
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.types import Send

from services.gateway.errors import error_body
from uniaudio.client.aio_streams import AsyncAudioStream
from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

T = TypeVar("T")

Event = Mapping[str, Any]
"""One server-sent event: an object with a "type"."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def begun(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same items, the first one made already: what refuses the request raises here, before any answer."""
    try:
        first = await anext(items)
    except StopAsyncIteration:
        return _none()
    return _chained(first, items)


async def _chained(first: T, rest: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    async with aclosing(rest):
        yield first
        async for item in rest:
            yield item


async def _none() -> AsyncGenerator[Any, None]:
    return
    yield


async def sound_of(stream: AsyncAudioStream) -> AsyncGenerator[bytes, None]:
    """The bytes of a stream's audio; giving it up cancels the rest."""
    async with stream:
        async for piece in stream.audio():
            yield piece.content


def audio_response(pieces: AsyncIterator[bytes], media_type: str) -> StreamingResponse:
    """Audio as it is made; a failure in its midst breaks the connection off, so nobody takes a part for the whole."""
    return _AudioResponse(pieces, media_type=media_type, headers=_HEADERS)


class _AudioResponse(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        """Sends the pieces; a failure ends it without the last message, and the server then closes the connection."""
        try:
            await super().stream_response(send)
        except UniaudioError as error:
            log.warning("answer broken off", reason=error.reason, error=error.message)


def event_response(events: AsyncGenerator[Event, None]) -> StreamingResponse:
    """Server-sent events; a failure in their midst is the last one, of type "error"."""
    return StreamingResponse(_lines(events), media_type="text/event-stream", headers=_HEADERS)


async def _lines(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        try:
            async for event in events:
                yield _line(event)
        except UniaudioError as error:
            yield _line({"type": "error", **error_body(error)})


def _line(event: Event) -> bytes:
    """With its "id", where it has one: what a browser sends back as Last-Event-ID when it connects again."""
    number = f"id: {event['id']}\n" if "id" in event else ""
    return f"{number}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def as_base64(content: bytes) -> str:
    """Bytes as JSON can carry them."""
    return base64.b64encode(content).decode()


def as_json(message: Message) -> dict[str, Any]:
    """A message of the contract as JSON, fields by their own names, defaults included."""
    told: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return told
