"""TokenizerService on the front door: the tokenizer's own messages, passed on for callers who were let in.

The tokenizer itself knows no callers and is not reachable from outside; here its calls go through the same
guard, quotas and bounds as all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from services.orchestrator.admission import Admission
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.runtime.aio_calls import keep_status
from uniaudio.runtime.calls import remaining_seconds
from uniaudio.runtime.guard.meter import use_audio
from uniaudio.runtime.server import Service
from uniaudio.runtime.tokenizer_client import SERVICE, TokenizerClient, call_span
from uniaudio.v1 import tokenizer_pb2, tokenizer_pb2_grpc

_STREAM_SECONDS = 3600.0
_BYTES_A_SAMPLE = 4
_FRAMES_A_SECOND = 50


class TokenizerDoor(tokenizer_pb2_grpc.TokenizerServiceServicer):
    """Passes calls on to the tokenizer that `client` calls; `admission` bounds how many at once."""

    def __init__(self, client: TokenizerClient, admission: Admission, *, max_request_seconds: float) -> None:
        self._client = client
        self._admission = admission
        self._max_request_seconds = max_request_seconds

    async def GetTokenizer(
        self, request: tokenizer_pb2.GetTokenizerRequest, context: Any
    ) -> tokenizer_pb2.GetTokenizerResponse:
        answer: tokenizer_pb2.GetTokenizerResponse = await self._once("GetTokenizer", request)
        return answer

    async def Encode(
        self, request: tokenizer_pb2.EncodeRequest, context: Any
    ) -> tokenizer_pb2.EncodeResponse:
        await use_audio(_seconds_of_waveform(request.waveform))
        async with self._admission.place():
            answer: tokenizer_pb2.EncodeResponse = await self._once("Encode", request)
        return answer

    async def Decode(
        self, request: tokenizer_pb2.DecodeRequest, context: Any
    ) -> tokenizer_pb2.DecodeResponse:
        async with self._admission.place():
            answer: tokenizer_pb2.DecodeResponse = await self._once("Decode", request)
        await use_audio(_seconds_of_waveform(answer.waveform))
        return answer

    async def Spell(self, request: tokenizer_pb2.SpellRequest, context: Any) -> tokenizer_pb2.SpellResponse:
        async with self._admission.place():
            answer: tokenizer_pb2.SpellResponse = await self._once("Spell", request)
        return answer

    async def StreamEncode(
        self, requests: AsyncIterator[tokenizer_pb2.StreamEncodeRequest], context: Any
    ) -> AsyncGenerator[tokenizer_pb2.StreamEncodeResponse, None]:
        async with self._admission.place():
            async with aclosing(self._stream("StreamEncode", requests)) as answers:
                async for answer in answers:
                    await use_audio(answer.num_frames / _FRAMES_A_SECOND)
                    yield answer

    async def StreamDecode(
        self, requests: AsyncIterator[tokenizer_pb2.StreamDecodeRequest], context: Any
    ) -> AsyncGenerator[tokenizer_pb2.StreamDecodeResponse, None]:
        async with self._admission.place():
            async with aclosing(self._stream("StreamDecode", requests)) as answers:
                async for answer in answers:
                    await use_audio(_seconds_of_waveform(answer.waveform))
                    yield answer

    async def _once(self, method: str, request: Any) -> Any:
        async with call_span(method, self._client.address) as span:
            timeout = remaining_seconds(self._max_request_seconds)
            return await getattr(self._client.stub(), method)(
                request, timeout=timeout, metadata=span.metadata
            )

    async def _stream(self, method: str, requests: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        refused: list[Exception] = []

        async def passed_on() -> AsyncIterator[Any]:
            try:
                async for request in requests:
                    yield request
            except Exception as error:
                refused.append(error)  # of the caller's stream; grpc.aio would tell a call that was dropped
                raise

        async with call_span(method, self._client.address) as span:
            call = getattr(self._client.stub(), method)(
                passed_on(), timeout=remaining_seconds(_STREAM_SECONDS), metadata=span.metadata
            )
            keep_status(call)
            try:
                async for answer in call:
                    yield answer
            except (grpc.aio.AioRpcError, asyncio.CancelledError):
                if refused:
                    raise refused[0] from None
                raise
            finally:
                call.cancel()  # nothing happens where it has ended


def tokenizer_service(door: TokenizerDoor) -> Service:
    """The service on the orchestrator's own port; its health is told by SpeechService's."""
    return Service(
        name=SERVICE,
        register=lambda server: tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(door, server),
    )


def _seconds_of_waveform(waveform: bytes) -> float:
    return len(waveform) / (_BYTES_A_SAMPLE * MODEL_SAMPLE_RATE)
