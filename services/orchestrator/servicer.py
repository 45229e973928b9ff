"""SpeechService: messages in, messages out; the work is in the pipelines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from services.orchestrator import translate
from services.orchestrator.front import Front
from services.orchestrator.live import IDLE_SECONDS, next_within
from uniaudio.errors import InvalidInputError
from uniaudio.runtime.calls import adopt_request_id
from uniaudio.runtime.server import Service
from uniaudio.v1 import speech_pb2, speech_pb2_grpc

SERVICE_NAME = "uniaudio.v1.SpeechService"


class SpeechServicer(speech_pb2_grpc.SpeechServiceServicer):
    """The front door on the wire."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def GetInfo(self, request: speech_pb2.GetInfoRequest, context: Any) -> speech_pb2.GetInfoResponse:
        return translate.info_response(await self._front.info())

    async def Transcribe(
        self, request: speech_pb2.TranscribeRequest, context: Any
    ) -> speech_pb2.TranscribeResponse:
        request_id = adopt_request_id(request.request_id)
        transcript = await self._front.transcribe(translate.transcribe_order(request))
        return translate.transcribe_response(transcript, request_id)

    async def TranscribeProgressively(
        self, request: speech_pb2.TranscribeProgressivelyRequest, context: Any
    ) -> AsyncGenerator[speech_pb2.TranscribeProgressivelyResponse, None]:
        request_id = adopt_request_id(request.transcribe.request_id)
        order = translate.transcribe_order(request.transcribe)
        async with aclosing(self._front.transcribe_progressively(order)) as items:
            async for item in items:
                yield translate.progressive_response(item, request_id)

    async def StreamTranscribe(
        self, requests: AsyncIterator[speech_pb2.StreamTranscribeRequest], context: Any
    ) -> AsyncGenerator[speech_pb2.StreamTranscribeResponse, None]:
        first = await next_within(IDLE_SECONDS, requests)
        if first is None or first.WhichOneof("message") != "config":
            raise _out_of_place("the first message", "config")
        adopt_request_id(first.config.request_id)
        order = translate.live_order(first.config)
        async with aclosing(self._front.live(order, _audio_of(requests))) as texts:
            async for text in texts:
                yield translate.live_response(text)

    async def Synthesize(
        self, request: speech_pb2.SynthesizeRequest, context: Any
    ) -> AsyncGenerator[speech_pb2.SynthesizeResponse, None]:
        request_id = adopt_request_id(request.request_id)
        async with aclosing(self._front.synthesize(translate.synthesize_order(request))) as items:
            async for item in items:
                yield translate.synthesize_response(item, request_id)

    async def Edit(
        self, request: speech_pb2.EditRequest, context: Any
    ) -> AsyncGenerator[speech_pb2.EditResponse, None]:
        request_id = adopt_request_id(request.request_id)
        async with aclosing(self._front.edit(translate.edit_order(request))) as items:
            async for item in items:
                yield translate.edit_response(item, request_id)


def speech_service(front: Front) -> Service:
    """SpeechService before `front`; its health is whether both neighbours answer."""
    servicer = SpeechServicer(front)
    return Service(
        name=SERVICE_NAME,
        register=lambda server: speech_pb2_grpc.add_SpeechServiceServicer_to_server(servicer, server),
        probe=front.check_ready,
    )


async def _audio_of(
    requests: AsyncIterator[speech_pb2.StreamTranscribeRequest],
) -> AsyncGenerator[bytes, None]:
    async for request in requests:
        if request.WhichOneof("message") != "audio_content":
            raise _out_of_place("every message after the first", "audio_content")
        yield request.audio_content


def _out_of_place(which: str, expected: str) -> InvalidInputError:
    return InvalidInputError(
        f"{which} of a live stream must carry {expected}; send the configuration once, then audio",
        value="something else",
        limit=expected,
        remedy="send the configuration once, then audio",
    )
