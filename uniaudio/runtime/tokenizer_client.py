"""A typed asyncio client of TokenizerService: numpy in, numpy out, errors of our tree."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import grpc
import numpy as np
import numpy.typing as npt
from grpc_health.v1 import health_pb2, health_pb2_grpc

from uniaudio.errors import DeadlineError, InvalidInputError, UnavailableError, UniaudioError
from uniaudio.runtime.aio_calls import keep_status
from uniaudio.runtime.calls import current_request_id, remaining_seconds
from uniaudio.runtime.server import client_options
from uniaudio.runtime.status import error_from_rpc, retry_after_seconds
from uniaudio.runtime.telemetry import CallSpan, start_client_span
from uniaudio.runtime.tls import ClientTlsSettings, open_channel
from uniaudio.v1 import tokenizer_pb2, tokenizer_pb2_grpc

Floats = npt.NDArray[np.float32]
Posterior = Literal["mean", "sample"]
AnswerT = TypeVar("AnswerT")

SERVICE = "uniaudio.v1.TokenizerService"
_POSTERIORS = {
    "mean": tokenizer_pb2.POSTERIOR_MODE_MEAN,
    "sample": tokenizer_pb2.POSTERIOR_MODE_SAMPLE,
}


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """How long to wait and how often to try again."""

    unary_timeout_seconds: float = 120.0
    stream_timeout_seconds: float = 3600.0
    # After the last piece was sent the rest of the answer must keep coming.
    flush_timeout_seconds: float = 60.0
    max_attempts: int = 3
    backoff_seconds: float = 0.2
    # Tries beyond the first may be at most this share of all calls, after a small allowance.
    retry_ratio: float = 0.2
    retry_allowance: float = 10.0


@dataclass(frozen=True, kw_only=True)
class TokenizerInfo:
    """Sizes of the served tokenizer and which model it is."""

    sample_rate: int
    hop_length: int
    latent_dim: int
    alphabet: str
    """The letters that it can tell in latents; empty for a model that cannot."""
    model_name: str
    model_revision: str
    model_trained: bool
    model_notice: str


class RetryBudget:
    """Bounds retries to a share of the calls, so that a sick service is not drowned in them."""

    def __init__(self, ratio: float, allowance: float) -> None:
        self._ratio = ratio
        self._allowance = allowance
        self._tokens = allowance

    def record_call(self) -> None:
        """Every first try earns a share of a retry."""
        self._tokens = min(self._allowance, self._tokens + self._ratio)

    def take(self) -> bool:
        """Whether one more retry is within the budget; takes it."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class TokenizerClient:
    """Calls TokenizerService at `address` ("host:port").

    Every method raises errors of our tree; a service that is away, dropped the call or lost its replica
    raises UnavailableError. Unary calls are tried again within a budget; a stream is not, since its state
    is gone with the replica: the caller starts a new one. Deadlines follow the call being served, if any.
    """

    def __init__(
        self, address: str, config: ClientConfig | None = None, *, tls: ClientTlsSettings | None = None
    ) -> None:
        self.address = address
        self._tls = tls
        self._config = config or ClientConfig()
        self._budget = RetryBudget(self._config.retry_ratio, self._config.retry_allowance)
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel; calls in progress end with UnavailableError."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
            self._stub = None

    async def get_tokenizer(self, *, timeout_seconds: float | None = None) -> TokenizerInfo:
        """Sizes of the served model."""
        request = tokenizer_pb2.GetTokenizerRequest()
        answer = await self._unary("GetTokenizer", request, timeout_seconds)
        return TokenizerInfo(
            sample_rate=answer.sample_rate,
            hop_length=answer.hop_length,
            latent_dim=answer.latent_dim,
            alphabet=answer.alphabet,
            model_name=answer.model.name,
            model_revision=answer.model.revision,
            model_trained=answer.model.trained,
            model_notice=answer.model.notice,
        )

    async def check_ready(self, *, timeout_seconds: float = 5.0) -> None:
        """Returns when the service says of itself that it serves; raises UnavailableError otherwise.

        A probe: it leaves no span, and no line in the service's log.
        """
        self.stub()
        stub: Any = health_pb2_grpc.HealthStub(self._channel)  # type: ignore[no-untyped-call]
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise _away(
                self.address, f"is not ready: {error_from_rpc(error).message}", limit="SERVING"
            ) from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise _away(self.address, f"says {name}", limit="SERVING")

    async def encode(
        self,
        waveform: Floats,
        *,
        posterior: Posterior = "mean",
        seed: int = 0,
        timeout_seconds: float | None = None,
    ) -> Floats:
        """Latents (num_frames, latent_dim) of a waveform (num_samples,) at the tokenizer's rate."""
        request = tokenizer_pb2.EncodeRequest(
            request_id=current_request_id(),
            waveform=_to_bytes(waveform, 1),
            options=_options(posterior, seed),
        )
        answer = await self._unary("Encode", request, timeout_seconds)
        return _from_bytes(answer.latents).reshape(answer.num_frames, answer.latent_dim)

    async def decode(self, latents: Floats, *, timeout_seconds: float | None = None) -> Floats:
        """The waveform (num_frames * hop_length,) of latents (num_frames, latent_dim)."""
        request = tokenizer_pb2.DecodeRequest(request_id=current_request_id(), latents=_to_bytes(latents, 2))
        answer = await self._unary("Decode", request, timeout_seconds)
        return _from_bytes(answer.waveform)

    async def spell(self, latents: Floats, *, timeout_seconds: float | None = None) -> Floats:
        """How likely each of latents (num_frames, latent_dim) speaks each letter: logarithms.

        (num_frames, 1 + len(alphabet)), of no letter first. InvalidInputError from a model without a letter ear.
        """
        request = tokenizer_pb2.SpellRequest(request_id=current_request_id(), latents=_to_bytes(latents, 2))
        answer = await self._unary("Spell", request, timeout_seconds)
        return _from_bytes(answer.log_probabilities).reshape(answer.num_frames, -1)

    async def stream_encode(
        self,
        waveforms: AsyncIterable[Floats],
        *,
        posterior: Posterior = "mean",
        seed: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[Floats, None]:
        """Latents (num_frames, latent_dim) as they become known from pieces (num_samples,) of a waveform.

        Closing this generator gives the stream up. An error of `waveforms` is raised here.
        """

        async def requests() -> AsyncGenerator[tokenizer_pb2.StreamEncodeRequest, None]:
            first = tokenizer_pb2.StreamEncodeRequest(
                request_id=current_request_id(), options=_options(posterior, seed)
            )
            async for waveform in waveforms:
                first.waveform = _to_bytes(waveform, 1)
                yield first
                first = tokenizer_pb2.StreamEncodeRequest()
            first.last = True
            first.waveform = b""
            yield first

        async with aclosing(self._stream("StreamEncode", requests(), timeout_seconds)) as answers:
            async for answer in answers:
                if answer.num_frames:
                    yield _from_bytes(answer.latents).reshape(answer.num_frames, -1)

    async def stream_decode(
        self, latents: AsyncIterable[Floats], *, timeout_seconds: float | None = None
    ) -> AsyncGenerator[Floats, None]:
        """Pieces (num_samples,) of the waveform as they become known from latents (num_frames, latent_dim).

        Closing this generator gives the stream up. An error of `latents` is raised here.
        """

        async def requests() -> AsyncGenerator[tokenizer_pb2.StreamDecodeRequest, None]:
            request_id = current_request_id()
            async for piece in latents:
                yield tokenizer_pb2.StreamDecodeRequest(request_id=request_id, latents=_to_bytes(piece, 2))
            yield tokenizer_pb2.StreamDecodeRequest(request_id=request_id, last=True)

        async with aclosing(self._stream("StreamDecode", requests(), timeout_seconds)) as answers:
            async for answer in answers:
                if answer.waveform:
                    yield _from_bytes(answer.waveform)

    def stub(self) -> Any:
        """The service's stub on this client's channel, for calls that are passed on as they are."""
        if self._stub is None:
            self._channel = open_channel(self.address, client_options(), self._tls)
            self._stub = tokenizer_pb2_grpc.TokenizerServiceStub(self._channel)
        return self._stub

    async def _unary(self, name: str, request: Any, timeout_seconds: float | None) -> Any:
        seconds = self._config.unary_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + remaining_seconds(seconds)

        async def attempt() -> Any:
            left = max(0.0, deadline - time.monotonic())
            async with call_span(name, self.address) as span:
                return await getattr(self.stub(), name)(request, timeout=left, metadata=span.metadata)

        return await self._with_retries(attempt, deadline)

    async def _with_retries(self, attempt: Callable[[], Awaitable[AnswerT]], deadline: float) -> AnswerT:
        self._budget.record_call()
        tries = 1
        while True:
            try:
                return await attempt()
            except UniaudioError as error:
                wait = self._wait_before_retry(error, tries)
                if (
                    not error.retryable
                    or tries >= self._config.max_attempts
                    or time.monotonic() + wait >= deadline
                    or not self._budget.take()
                ):
                    raise
            tries += 1
            await asyncio.sleep(wait)

    def _wait_before_retry(self, error: UniaudioError, tries: int) -> float:
        backoff = self._config.backoff_seconds * 2 ** (tries - 1)
        asked = retry_after_seconds(error) if "retry_after_seconds" in error.metadata else 0.0
        return float(max(backoff, asked) * random.uniform(0.8, 1.2))

    async def _stream(
        self, name: str, requests: AsyncGenerator[Any, None], timeout_seconds: float | None
    ) -> AsyncGenerator[Any, None]:
        """Answers of a bidirectional call that is fed from `requests` while they are read."""
        seconds = self._config.stream_timeout_seconds if timeout_seconds is None else timeout_seconds
        async with call_span(name, self.address) as span:
            call = getattr(self.stub(), name)(timeout=remaining_seconds(seconds), metadata=span.metadata)
            keep_status(call)
            feeding = asyncio.create_task(self._feed(call, requests))
            ended = False
            try:
                while (answer := await self._next_answer(call, feeding)) is not grpc.aio.EOF:
                    ended = answer.last
                    yield answer
                if not ended:
                    raise _away(self.address, f"ended {name} before its last answer", limit="a whole answer")
            finally:
                feeding.cancel()
                call.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self, call: Any, requests: AsyncGenerator[Any, None]) -> None:
        try:
            async for request in requests:
                await call.write(request)
            await call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            # The call is over; whoever reads the answers learns why.
            return
        finally:
            await requests.aclose()

    async def _next_answer(self, call: Any, feeding: asyncio.Task[None]) -> Any:
        """The next answer; an error of the source wins, and after the last piece the wait is bounded."""
        reading = asyncio.ensure_future(call.read())
        try:
            if not feeding.done():
                await asyncio.wait({reading, feeding}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done() and (failure := feeding.exception()) is not None:
                raise failure
            if not reading.done():
                limit = self._config.flush_timeout_seconds if feeding.done() else None
                await asyncio.wait({reading}, timeout=limit)
            if not reading.done():
                raise DeadlineError(
                    f"{self.address} sent nothing for {self._config.flush_timeout_seconds:g} s after the last piece; "
                    "try again",
                    value=f"nothing for {self._config.flush_timeout_seconds:g} s",
                    limit=f"{self._config.flush_timeout_seconds:g} s",
                    remedy="try again",
                )
            return await reading
        finally:
            reading.cancel()


@asynccontextmanager
async def call_span(name: str, address: str) -> AsyncGenerator[CallSpan, None]:
    """A client span around one call of the tokenizer at `address`; failures become errors of our tree."""
    span = start_client_span(f"/{SERVICE}/{name}")
    try:
        yield span
    except grpc.RpcError as error:
        ours = error_from_rpc(error)
        span.end(_number(error), ours.message)
        raise ours from error
    except asyncio.CancelledError as error:
        span.end(grpc.StatusCode.CANCELLED.value[0], "cancelled")
        if _asked_to_cancel():
            raise
        # grpc ends a call with this error as well when its channel is closed.
        raise _away(address, "dropped the call", limit="a whole answer") from error
    except BaseException as error:
        span.end(grpc.StatusCode.CANCELLED.value[0], type(error).__name__)
        raise
    span.end()


def _away(address: str, what: str, *, limit: str) -> UnavailableError:
    """The error of a service that does `what` where `limit` was needed."""
    remedy = "try again in some seconds"
    message = f"the tokenizer at {address} {what}; {remedy}"
    return UnavailableError(message, value=what, limit=limit, remedy=remedy)


def _asked_to_cancel() -> bool:
    """Whether somebody cancelled the running task, as against a call that ended by itself."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _number(error: grpc.RpcError) -> int:
    code = error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN
    number: int = code.value[0]
    return number


def _options(posterior: Posterior, seed: int) -> tokenizer_pb2.EncodeOptions:
    if posterior not in _POSTERIORS:
        raise InvalidInputError(
            f"posterior={posterior!r}; allowed: mean, sample",
            value=posterior,
            limit="mean, sample",
            remedy="use one of them",
        )
    return tokenizer_pb2.EncodeOptions(posterior=_POSTERIORS[posterior], seed=seed)


def _to_bytes(values: Floats, num_dims: int) -> bytes:
    if values.ndim != num_dims:
        wanted = "(num_samples,)" if num_dims == 1 else "(num_frames, latent_dim)"
        raise InvalidInputError(
            f"the array has the shape {values.shape}; send {wanted}",
            value=values.shape,
            limit=wanted,
            remedy=f"send {wanted}",
        )
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _from_bytes(content: bytes) -> Floats:
    return np.frombuffer(content, dtype="<f4").astype(np.float32, copy=True)
