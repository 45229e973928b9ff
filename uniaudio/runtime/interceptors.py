"""What happens around every call of a server: span, request id, deadline, errors, access log, metrics."""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
import structlog

from uniaudio.errors import CancelledByCallerError, DeadlineError, InvalidInputError, UniaudioError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.status import DETAILS_KEY, error_from_rpc, to_rich_status, to_status_code
from uniaudio.runtime.telemetry import CallInstruments, CallSpan, current_trace_id, start_server_span

log = get_logger(__name__)

REQUEST_ID_KEY = "x-request-id"
MAX_REQUEST_ID_CHARACTERS = 128
# Probes and tools call these all the time; their lines would hide the others.
_QUIET_PREFIXES = ("/grpc.health.", "/grpc.reflection.")

_request_id: ContextVar[str] = ContextVar("uniaudio_request_id", default="")
_deadline: ContextVar[float | None] = ContextVar("uniaudio_deadline", default=None)


def current_request_id() -> str:
    """The id of the call that this task serves, or "" outside any."""
    return _request_id.get()


def remaining_seconds(default: float) -> float:
    """Seconds that the running call may still take, at most `default`."""
    deadline = _deadline.get()
    return default if deadline is None else max(0.0, min(default, deadline - time.monotonic()))


def adopt_request_id(request_id: str) -> str:
    """Makes `request_id` the id of this call, or keeps the one it has when empty; returns the id.

    Raises InvalidInputError for one longer than 128 characters or with characters that are not printable.
    """
    if not request_id:
        return _request_id.get() or new_request_id()
    if len(request_id) > MAX_REQUEST_ID_CHARACTERS or not request_id.isprintable():
        raise InvalidInputError(
            f"request_id has {len(request_id)} characters; at most {MAX_REQUEST_ID_CHARACTERS} printable ones "
            "are allowed: send a shorter one, or none",
            reason="INVALID_REQUEST_ID",
        )
    _request_id.set(request_id)
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def new_request_id() -> str:
    """A fresh id, which becomes this call's."""
    return adopt_request_id(uuid.uuid4().hex)


@dataclass
class _Call:
    """One call in progress."""

    method: str
    context: Any  # grpc.aio.ServicerContext
    call_span: CallSpan
    quiet: bool
    started: float = field(default_factory=time.monotonic)
    code: grpc.StatusCode = grpc.StatusCode.OK
    description: str = ""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Surrounds every call; servicers only raise our errors and return answers.

    Errors of our tree reach the caller as rich status. Anything else is logged with its traceback and
    reaches the caller as INTERNAL with the trace and request id, never its text. A call with a single
    answer and no deadline of its own gets `default_deadline_seconds`.
    """

    def __init__(self, *, default_deadline_seconds: float = 120.0) -> None:
        self._default_deadline_seconds = default_deadline_seconds
        self._instruments = CallInstruments.create("server")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler (grpc.RpcMethodHandler) with everything of this module around it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None  # unknown method: grpc answers UNIMPLEMENTED
        make, behavior, wrap = self._parts(handler)
        return make(
            wrap(behavior, handler_call_details),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _parts(self, handler: Any) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
        """What makes a handler of this kind, the servicer's method, and what surrounds it."""
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler, handler.stream_stream, self._stream
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler, handler.unary_stream, self._stream
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler, handler.stream_unary, self._single
        return grpc.unary_unary_rpc_method_handler, handler.unary_unary, self._single

    def _single(self, behavior: Callable[..., Any], details: grpc.HandlerCallDetails) -> Callable[..., Any]:
        async def run(request: Any, context: Any) -> Any:
            call = self._begin(details, context)
            try:
                adopt_request_id(_request_id_of(request, details))
                seconds = remaining_seconds(self._default_deadline_seconds)
                try:
                    async with asyncio.timeout(seconds):
                        return await behavior(request, context)
                except TimeoutError as error:
                    if time.monotonic() - call.started < seconds:
                        raise  # some inner wait of the servicer's, not this one
                    raise DeadlineError(
                        f"{call.method} did not end within {seconds:.1f} s; send less at once, or a later deadline"
                    ) from error
            except asyncio.CancelledError:
                call.code = grpc.StatusCode.CANCELLED  # the caller left, or its own deadline passed
                raise
            except Exception as error:  # noqa: BLE001 - every failure becomes a status here
                await self._fail(call, error)
            finally:
                self._finish(call)

        return run

    def _stream(self, behavior: Callable[..., Any], details: grpc.HandlerCallDetails) -> Callable[..., Any]:
        async def run(request: Any, context: Any) -> AsyncIterator[Any]:
            call = self._begin(details, context)
            try:
                adopt_request_id(_request_id_of(request, details))
                answers = behavior(request, context)
                if inspect.isawaitable(answers):
                    await answers  # a handler that writes to the context itself
                else:
                    async for answer in answers:
                        yield answer
            except (asyncio.CancelledError, GeneratorExit):
                call.code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001 - every failure becomes a status here
                await self._fail(call, error)
            finally:
                self._finish(call)

        return run

    def _begin(self, details: grpc.HandlerCallDetails, context: Any) -> _Call:
        structlog.contextvars.clear_contextvars()
        _request_id.set("")
        remaining = context.time_remaining()
        _deadline.set(None if remaining is None else time.monotonic() + remaining)
        quiet = details.method.startswith(_QUIET_PREFIXES)
        self._instruments.active.add(1, {"rpc.method": details.method})
        return _Call(
            details.method, context, start_server_span(details.method, details.invocation_metadata), quiet
        )

    async def _fail(self, call: _Call, error: Exception) -> NoReturn:
        """Ends the call with the status that `error` stands for; always raises."""
        if isinstance(error, grpc.aio.AbortError):  # the servicer ended the call itself
            call.code = _code_of(call.context)
            raise error
        ours = self._as_ours(call, error)
        call.code, call.description = to_status_code(ours), ours.message
        rich = to_rich_status(ours)
        await call.context.abort(call.code, rich.message, ((DETAILS_KEY, rich.SerializeToString()),))
        raise AssertionError("abort always raises")

    def _as_ours(self, call: _Call, error: Exception) -> UniaudioError:
        if isinstance(error, UniaudioError):
            return error
        if isinstance(error, grpc.RpcError):
            return error_from_rpc(error)
        log.error("call failed unexpectedly", method=call.method, exc_info=error)
        call.call_span.span.record_exception(error)
        ids = {"trace_id": current_trace_id(), "request_id": current_request_id()}
        known = {key: value for key, value in ids.items() if value}
        where = " ".join(f"{key}={value}" for key, value in known.items())
        return UniaudioError(
            f"an unexpected error inside the server; its log has the cause under {where}", **known
        )

    def _finish(self, call: _Call) -> None:
        seconds = time.monotonic() - call.started
        attributes: dict[str, str | int] = {
            "rpc.method": call.method,
            "rpc.grpc.status_code": call.code.value[0],
        }
        self._instruments.active.add(-1, {"rpc.method": call.method})
        self._instruments.duration.record(seconds, attributes)
        if call.code is not grpc.StatusCode.OK:
            self._instruments.errors.add(1, attributes)
        write = log.debug if call.quiet else log.info
        extra = {"error": call.description} if call.description else {}
        write(
            "call",
            method=call.method,
            code=call.code.name,
            seconds=round(seconds, 4),
            peer=call.context.peer(),
            **extra,
        )
        call.call_span.end(call.code.value[0], call.description)


def _request_id_of(request: Any, details: grpc.HandlerCallDetails) -> str:
    """The id that the caller chose: the request's own field, else the metadata, else ""."""
    own = getattr(request, "request_id", "")
    if isinstance(own, str) and own:
        return own
    for key, value in details.invocation_metadata or ():
        if key == REQUEST_ID_KEY and isinstance(value, str):
            return value
    return ""


def _code_of(context: Any) -> grpc.StatusCode:
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code
    return next((known for known in grpc.StatusCode if known.value[0] == code), grpc.StatusCode.UNKNOWN)


def cancelled_by_caller() -> CancelledByCallerError:
    """For a stream whose caller stopped without saying that it ended."""
    return CancelledByCallerError("the stream ended without its last message, so it was taken as given up")
