"""A typed client of the LLM inside Triton, over Triton's raw gRPC stubs.

One generation is one stream with one request; `llm_stream` tells how it ends. Triton notices neither
a killed nor a hanging model process, so this client does: the backend sends something at least every
second, and a silence longer than `silence_seconds` is an `UnavailableError`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from uniaudio.errors import DeadlineError, InvalidInputError, UnavailableError, UniaudioError
from uniaudio.runtime import llm_wire
from uniaudio.runtime.llm_events import Event, FinishEvent, HeartbeatEvent, Latents, as_array, typed
from uniaudio.runtime.llm_stream import LlmStream, LlmStreams
from uniaudio.runtime.server import client_options
from uniaudio.runtime.status import error_from_rpc, to_status_code
from uniaudio.runtime.telemetry import CallSpan, start_client_span
from uniaudio.runtime.tls import ClientTlsSettings, open_channel
from uniaudio.v1 import audio_pb2, llm_pb2

_STREAM_METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"
# Triton marks the last response to a request that asks for it; whatever it held, nothing more will come.
_TELL_FINAL, _FINAL = "triton_enable_empty_final_response", "triton_final_response"
# What Triton itself says when it begins or ends: it took nothing, so that the same may be asked for again.
_REFUSED_WORDS = ("not ready", "unknown model", "exiting", "unloading")
_REFUSED_SECONDS = 0.5
# The same when the model process is gone, maybe by this very request.
_AWAY_WORDS = ("not healthy", "not found", "unavailable")


class LlmClient:
    """Generates over one channel to one address; share it, and close it.

    Args:
        address: "host:port" of Triton's gRPC endpoint.
        silence_seconds: longest wait for an event or heartbeat before the service counts as away, and for
            the end of a stream that was left.
        connect_seconds: longest wait for a connection that takes the request.
        tls: how the server is known and we to it; None is plaintext.
    """

    def __init__(
        self,
        address: str,
        *,
        silence_seconds: float = 5.0,
        connect_seconds: float = 10.0,
        tls: ClientTlsSettings | None = None,
    ) -> None:
        # Imported here: the stubs cost 0.1 s and are only needed where there is a client.
        from tritonclient.grpc import service_pb2, service_pb2_grpc

        self.address = address
        self._silence_seconds = silence_seconds
        self._connect_seconds = connect_seconds
        self._pb: Any = service_pb2
        self._channel = open_channel(address, client_options(), tls)
        make_stub: Any = service_pb2_grpc.GRPCInferenceServiceStub
        self._streams = LlmStreams(make_stub(self._channel).ModelStreamInfer, silence_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel once streams that were left have ended; those in flight are cancelled."""
        await self._streams.close()
        await self._channel.close()

    async def generate(
        self,
        options: llm_pb2.GenerateOptions,
        latents: Latents | None = None,
        *,
        timeout: float = 300.0,
        heartbeats: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """The generation's events, Finish last. Close the iterator (or cancel its task) to cancel.

        Args:
            options: what to do; a deadline of 0 is filled in from `timeout`.
            latents: the recording, `(num_frames, latent_dim)`, where the task has one.
            timeout: seconds for the whole generation, queueing included.
            heartbeats: whether HeartbeatEvents are told too.

        Raises:
            The engine's own errors (InvalidInputError, QueueFullError, ModelOutputError, ...);
            DeadlineError after `timeout`; UnavailableError when the service is away or falls silent.
        """
        message = llm_pb2.GenerateOptions()
        message.CopyFrom(options)
        if not message.deadline_milliseconds:
            message.deadline_milliseconds = max(1, int(timeout * 1000))
        request = self._request(message.SerializeToString(), latents, message.request_id)
        stopping = self._request(b"", None, message.request_id)
        key = uuid.uuid4().hex
        request.parameters[llm_wire.GENERATION].string_param = key
        stopping.parameters[llm_wire.STOP].string_param = key
        finished = False
        async with aclosing(self._taken(request, timeout, stopping)) as events:
            async for event in events:
                finished = finished or isinstance(event, FinishEvent)
                if heartbeats or not isinstance(event, HeartbeatEvent):
                    yield event
        if not finished:
            raise self._away("ended the stream before the generation was over", limit="a finished generation")

    async def info(self, *, timeout: float = 5.0) -> audio_pb2.ModelInfo:
        """The model's name, from an answer of the model process itself.

        A known tensor goes along and must come back unchanged. Raises UnavailableError otherwise.
        """
        sent = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
        request = self._request(b"", sent, "probe")
        request.parameters[llm_wire.PROBE].bool_param = True
        model: audio_pb2.ModelInfo | None = None
        try:
            async with aclosing(self._stream(request, timeout, expect_latents=sent)) as answers:
                async for event in answers:
                    if isinstance(event, FinishEvent):
                        model = event.model
        except DeadlineError as error:
            raise self._away(f"did not answer within {timeout:g} s", limit=f"{timeout:g} s") from error
        if model is None:
            raise self._away("gave no answer to a probe", limit="an answer")
        return model

    async def check_ready(self, *, timeout: float = 5.0) -> None:
        """Returns when the model process answers now; raises UnavailableError saying why not."""
        try:
            await self.info(timeout=timeout)
        except UnavailableError:
            raise
        except UniaudioError as error:
            raise self._away(f"is not ready: {error.message}", limit="an answer") from error

    async def ready(self, *, timeout: float = 5.0) -> bool:
        """Whether the model process answers now; Triton's own health stays good without it."""
        try:
            await self.check_ready(timeout=timeout)
        except UnavailableError:
            return False
        return True

    async def _taken(self, request: Any, timeout: float, stopping: Any) -> AsyncGenerator[Event, None]:
        """`_stream`, asked for again for a while where a replica that ends refuses it: another one takes it then."""
        now = time.monotonic()
        ends_at, patient_until = now + timeout, now + self._connect_seconds
        while True:
            left = ends_at - time.monotonic()
            is_taken = False
            try:
                async with aclosing(self._stream(request, left, stopping=stopping)) as events:
                    async for event in events:
                        is_taken = True
                        yield event
                return
            except UnavailableError as error:
                until = min(patient_until, ends_at) - _REFUSED_SECONDS
                if is_taken or error.reason != "LLM_REFUSED" or time.monotonic() > until:
                    raise
            await asyncio.sleep(_REFUSED_SECONDS)

    async def _stream(
        self, request: Any, timeout: float, *, stopping: Any = None, expect_latents: Latents | None = None
    ) -> AsyncGenerator[Event, None]:
        """One request's events on a stream of its own, every wait bounded; `stopping` is sent if it is left."""
        ends_at = time.monotonic() + timeout
        span = None if stopping is None else start_client_span(_STREAM_METHOD)  # probes are not traced
        # The engine's own deadline answers first and tells more; the call's is the safety net.
        stream = self._streams.open(
            request, timeout + self._silence_seconds, metadata=span.metadata if span else ()
        )
        failure: UniaudioError | None = None
        try:
            await self._send(stream, ends_at)
            while (response := await self._read(stream, ends_at)) is not grpc.aio.EOF:
                if response.error_message:
                    stream.is_over = True
                    raise self._triton_error(response.error_message)
                event = self._event(response.infer_response, expect_latents)
                stream.is_over = isinstance(event, FinishEvent) or _is_final(response.infer_response)
                if event is not None:
                    yield event
        except (asyncio.InvalidStateError, grpc.aio.InternalError) as error:
            what = f"broke the stream: {await stream.details() or error}"
            raise self._away(what, limit="a whole stream") from error
        except grpc.RpcError as error:
            failure = error_from_rpc(error)
            raise failure from error
        except UniaudioError as error:
            failure = error
            raise
        finally:
            self._streams.leave(stream, stopping)
            _end_span(span, failure)

    async def _send(self, stream: LlmStream, ends_at: float) -> None:
        patience = min(self._connect_seconds, max(0.0, ends_at - time.monotonic()))
        try:
            await stream.send(patience)
        except TimeoutError as error:
            raise self._away(
                f"took no connection for {patience:.1f} s",
                limit=f"{patience:.1f} s",
                remedy="see that it runs, or try again in some seconds",
                reason="LLM_AWAY",
            ) from error

    async def _read(self, stream: LlmStream, ends_at: float) -> Any:
        remaining = ends_at - time.monotonic()
        # A little over the deadline, so that the engine's own words about it can arrive.
        patience = max(0.0, min(self._silence_seconds, remaining + 1.0))
        try:
            return await stream.read(patience)
        except TimeoutError as error:
            if remaining < self._silence_seconds:
                raise DeadlineError(
                    "the generation did not end within its deadline; allow more time or ask for less",
                    value="still running",
                    limit="its deadline",
                    remedy="allow more time or ask for less",
                ) from error
            raise self._away(
                f"sent nothing for {self._silence_seconds:g} s, so its model process is gone or hangs",
                limit=f"{self._silence_seconds:g} s",
                remedy="it is restarted, try again in some seconds",
                reason="LLM_SILENT",
            ) from error

    def _away(
        self,
        what: str,
        *,
        limit: str,
        remedy: str = "try again in some seconds",
        reason: str | None = None,
    ) -> UnavailableError:
        """The error of a service that does `what` where `limit` was needed."""
        message = f"the LLM at {self.address} {what}; {remedy}"
        return UnavailableError(message, reason=reason, value=what, limit=limit, remedy=remedy)

    def _triton_error(self, text: str) -> UniaudioError:
        ours = llm_wire.error_from_text(text)
        if ours is not None:
            return ours
        for reason, words in (("LLM_REFUSED", _REFUSED_WORDS), ("LLM_AWAY", _AWAY_WORDS)):
            if any(word in text.lower() for word in words):
                return self._away(f"is away: {text.strip()}", limit="a model that is ready", reason=reason)
        return self._broken(f"failed: {text.strip()}", limit="an answer")

    def _broken(self, what: str, *, limit: str) -> UniaudioError:
        """The error of a service that answers what it never should."""
        remedy = "its log has the cause"
        message = f"the LLM at {self.address} {what}; {remedy}"
        return UniaudioError(message, value=what, limit=limit, remedy=remedy)

    def _request(self, options: bytes, latents: Latents | None, request_id: str) -> Any:
        request = self._pb.ModelInferRequest(model_name=llm_wire.MODEL_NAME, id=request_id)
        request.parameters[_TELL_FINAL].bool_param = True
        tensor = request.inputs.add()
        tensor.name, tensor.datatype = llm_wire.OPTIONS, "BYTES"
        tensor.shape.append(1)
        request.raw_input_contents.append(len(options).to_bytes(4, "little") + options)
        if latents is not None and latents.ndim != 2:
            raise InvalidInputError(
                f"latents have {latents.ndim} axes; they must be (num_frames, latent_dim)",
                field="latents",
                value=latents.shape,
                limit="(num_frames, latent_dim)",
                remedy="send what the tokenizer encoded",
            )
        if latents is not None and latents.size:
            tensor = request.inputs.add()
            tensor.name, tensor.datatype = llm_wire.LATENTS, "FP32"
            tensor.shape.extend(latents.shape)
            request.raw_input_contents.append(np.ascontiguousarray(latents, dtype="<f4").tobytes())
        return request

    def _event(self, response: Any, expect_latents: Latents | None) -> Event | None:
        outputs = dict(
            zip((output.name for output in response.outputs), response.raw_output_contents, strict=True)
        )
        if llm_wire.EVENT not in outputs:
            return None  # Triton's empty final response
        try:
            message = llm_pb2.GenerateEvent.FromString(outputs[llm_wire.EVENT][4:])
        except DecodeError as error:
            raise self._broken("answered something unreadable", limit="a GenerateEvent") from error
        latents = None
        if llm_wire.LATENTS in outputs:
            shape = next(tuple(out.shape) for out in response.outputs if out.name == llm_wire.LATENTS)
            latents = as_array(outputs[llm_wire.LATENTS], shape)
        if expect_latents is not None and not _same(expect_latents, latents):
            raise self._away(
                "does not send tensors back as they were",
                limit="the same tensor",
                remedy="its environment needs numpy 1.26",
            )
        return typed(message, latents)


def _is_final(response: Any) -> bool:
    return _FINAL in response.parameters and response.parameters[_FINAL].bool_param


def _same(expected: Latents, got: Latents | None) -> bool:
    return got is not None and np.array_equal(expected, got)


def _end_span(span: CallSpan | None, failure: UniaudioError | None) -> None:
    if span is None:
        return
    if failure is None:
        span.end()
    else:
        span.end(to_status_code(failure).value[0], failure.reason)
