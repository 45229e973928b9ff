"""TokenizerService as a plain class: it translates, and knows neither grpc.aio nor Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Any, TypeVar

from services.tokenizer import payloads
from services.tokenizer.model import Floats, StepModel
from services.tokenizer.sessions import DecodeSession, EncodeSession, StepBatcher, spell
from uniaudio.errors import DeadlineError, InvalidInputError
from uniaudio.runtime.calls import adopt_request_id, cancelled_by_caller
from uniaudio.runtime.pace import StreamPace
from uniaudio.v1 import tokenizer_pb2

SERVICE = "uniaudio.v1.TokenizerService"
# A step takes milliseconds; one that takes this long hangs.
_STALL_SECONDS = 60.0

RequestT = TypeVar("RequestT")


class TokenizerServicer:
    """The six calls of TokenizerService on a model and its batcher; raises only errors of our tree.

    A stream's state lives in its call and nowhere else: it dies with the call, the replica or the caller,
    and never outlives any of them.
    """

    def __init__(self, model: StepModel, batcher: StepBatcher, *, idle_seconds: float = 300.0) -> None:
        self._model = model
        self._batcher = batcher
        self._idle_seconds = idle_seconds

    async def GetTokenizer(
        self, request: tokenizer_pb2.GetTokenizerRequest, context: Any = None
    ) -> tokenizer_pb2.GetTokenizerResponse:
        """Sizes of the loaded model."""
        return tokenizer_pb2.GetTokenizerResponse(
            sample_rate=self._model.sample_rate,
            hop_length=self._model.hop_length,
            latent_dim=self._model.latent_dim,
            alphabet=self._model.alphabet,
            model=self._model.info,
        )

    async def Encode(
        self, request: tokenizer_pb2.EncodeRequest, context: Any = None
    ) -> tokenizer_pb2.EncodeResponse:
        """Latents of one waveform."""
        waveform = payloads.read_waveform(request.waveform, max_samples=payloads.MAX_SAMPLES)
        with self._batcher.session():
            latents = await self._encode_session(request.options).feed(waveform, last=True)
        return tokenizer_pb2.EncodeResponse(
            latents=payloads.to_bytes(latents),
            num_frames=latents.shape[0],
            latent_dim=latents.shape[1],
            model=self._model.info,
        )

    async def Decode(
        self, request: tokenizer_pb2.DecodeRequest, context: Any = None
    ) -> tokenizer_pb2.DecodeResponse:
        """The waveform of latents."""
        latents = self._read_latents(request.latents, payloads.MAX_FRAMES, may_be_empty=False)
        with self._batcher.session():
            waveform = await DecodeSession(self._model, self._batcher).feed(latents, last=True)
        return tokenizer_pb2.DecodeResponse(
            waveform=payloads.to_bytes(waveform),
            sample_rate=self._model.sample_rate,
            model=self._model.info,
        )

    async def Spell(
        self, request: tokenizer_pb2.SpellRequest, context: Any = None
    ) -> tokenizer_pb2.SpellResponse:
        """How likely each latent speaks each letter."""
        if not self._model.alphabet:
            name = self._model.info.name
            raise InvalidInputError(
                f"the model {name!r} has no letter ear, so it cannot spell; ask a model that has one, such as nano",
                reason="NOT_SUPPORTED",
                value=name,
                limit="a model with ear.json and ear.safetensors beside its weights",
                remedy="ask a model that has one, such as nano",
            )
        latents = payloads.read_latents(
            request.latents,
            latent_dim=self._model.latent_dim,
            max_frames=payloads.MAX_SPELLED_FRAMES,
            can_stream=False,
        )
        with self._batcher.session():
            heard = await spell(self._batcher, latents)
        return tokenizer_pb2.SpellResponse(
            log_probabilities=payloads.to_bytes(heard),
            num_frames=len(heard),
            alphabet=self._model.alphabet,
            model=self._model.info,
        )

    async def StreamEncode(
        self, requests: AsyncIterable[tokenizer_pb2.StreamEncodeRequest], context: Any = None
    ) -> AsyncGenerator[tokenizer_pb2.StreamEncodeResponse, None]:
        """Latents as soon as whole frames are known, until the message with `last`."""
        with self._batcher.session():
            session: EncodeSession | None = None
            pace = StreamPace()
            async for request in self._messages(requests):
                if session is None:
                    adopt_request_id(request.request_id)
                    session = self._encode_session(request.options)
                waveform = payloads.read_waveform(
                    request.waveform, max_samples=payloads.MAX_STREAM_SAMPLES, may_be_empty=True
                )
                pace.take(len(waveform) / self._model.sample_rate)
                latents = await session.feed(waveform, last=request.last)
                if len(latents) or request.last:
                    yield tokenizer_pb2.StreamEncodeResponse(
                        latents=payloads.to_bytes(latents), num_frames=len(latents), last=request.last
                    )
                if request.last:
                    return
            raise cancelled_by_caller()

    async def StreamDecode(
        self, requests: AsyncIterable[tokenizer_pb2.StreamDecodeRequest], context: Any = None
    ) -> AsyncGenerator[tokenizer_pb2.StreamDecodeResponse, None]:
        """Samples as soon as they are known, until the message with `last`."""
        with self._batcher.session():
            session: DecodeSession | None = None
            num_frames = 0
            pace = StreamPace()
            async for request in self._messages(requests):
                if session is None:
                    adopt_request_id(request.request_id)
                    session = DecodeSession(self._model, self._batcher)
                latents = self._read_latents(request.latents, payloads.MAX_STREAM_FRAMES, may_be_empty=True)
                num_frames += len(latents)
                pace.take(len(latents) * self._model.hop_length / self._model.sample_rate)
                if request.last and num_frames == 0:
                    raise InvalidInputError(
                        "the stream ended without a latent; send at least one row",
                        value="0 rows",
                        limit="at least 1 row",
                        remedy="send at least one row",
                    )
                waveform = await session.feed(latents, last=request.last)
                if len(waveform) or request.last:
                    yield tokenizer_pb2.StreamDecodeResponse(
                        waveform=payloads.to_bytes(waveform), last=request.last
                    )
                if request.last:
                    return
            raise cancelled_by_caller()

    async def check_health(self) -> None:
        """Returns when a request could be answered now: a real one is, where the model is idle."""
        self._batcher.check(_STALL_SECONDS)
        if self._batcher.is_idle:
            silence = payloads.read_waveform(
                bytes(payloads.FLOAT_BYTES * self._model.hop_length), max_samples=self._model.hop_length
            )
            latents = await EncodeSession(self._model, self._batcher).feed(silence, last=True)
            await DecodeSession(self._model, self._batcher).feed(latents, last=True)

    def _encode_session(self, options: tokenizer_pb2.EncodeOptions) -> EncodeSession:
        known = tokenizer_pb2.PosteriorMode.values()
        if options.posterior not in known:
            raise InvalidInputError(
                f"posterior={options.posterior}; allowed: {sorted(known)}, use one of them or a newer server",
                value=options.posterior,
                limit=sorted(known),
                remedy="use one of them, or a newer server",
            )
        sample = options.posterior == tokenizer_pb2.POSTERIOR_MODE_SAMPLE
        return EncodeSession(self._model, self._batcher, sample=sample, seed=options.seed)

    def _read_latents(self, content: bytes, max_frames: int, *, may_be_empty: bool) -> Floats:
        return payloads.read_latents(
            content, latent_dim=self._model.latent_dim, max_frames=max_frames, may_be_empty=may_be_empty
        )

    async def _messages(self, requests: AsyncIterable[RequestT]) -> AsyncIterator[RequestT]:
        """The caller's messages; a caller who stays silent too long is told so."""
        source = aiter(requests)
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds) as timer:
                    request = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                if not timer.expired():
                    raise
                raise DeadlineError(
                    f"no message came for {self._idle_seconds:g} s, so the stream was closed; "
                    "send pieces more often, or open a stream when there is something to send",
                    reason="STREAM_IDLE",
                    value=f"no message for {self._idle_seconds:g} s",
                    limit=f"{self._idle_seconds:g} s",
                    remedy="send pieces more often, or open a stream when there is something to send",
                ) from error
            yield request
