"""What surrounds every call that a service answers: span, request id, deadline, errors, access log, metrics.

It knows no server: the grpc.aio interceptor and the Ray Serve deployment are two thin adapters on it.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import grpc
import structlog
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.trace import INVALID_SPAN

from uniaudio.errors import CancelledByCallerError, DeadlineError, InvalidInputError, UniaudioError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.status import error_from_rpc, to_status_code
from uniaudio.runtime.telemetry import CallInstruments, CallSpan, start_server_span

log = get_logger(__name__)

REQUEST_ID_KEY = "x-request-id"
MAX_REQUEST_ID_CHARACTERS = 128
_MAX_ID_CHARACTERS = 128
# Probes and tools call these all the time; their lines and spans would hide the others.
_QUIET_PREFIXES = ("/grpc.health.", "/grpc.reflection.")

# What is sent piece by piece may come as slowly as an hour of speech was spoken; its servicer bounds the pauses.
_CLIENT_STREAM_SECONDS = 3_600.0

_request_id: ContextVar[str] = ContextVar("uniaudio_request_id", default="")
_arrived: ContextVar[float | None] = ContextVar("uniaudio_arrived", default=None)
_deadline: ContextVar[float | None] = ContextVar("uniaudio_deadline", default=None)

AnswerT = TypeVar("AnswerT")

Metadata = Sequence[tuple[str, str | bytes]]


def current_request_id() -> str:
    """The id of the call that this task serves, or "" outside any."""
    return _request_id.get()


def arrived_at() -> float:
    """When the running call arrived, on the monotonic clock; now, outside any."""
    arrived = _arrived.get()
    return time.monotonic() if arrived is None else arrived


def remaining_seconds(default: float) -> float:
    """Seconds that the running call may still take, at most `default`."""
    deadline = _deadline.get()
    return default if deadline is None else max(0.0, min(default, deadline - time.monotonic()))


def adopt_request_id(request_id: str) -> str:
    """Makes `request_id` the id of this call, or keeps the one it has (or a new one) when empty; returns it.

    Raises InvalidInputError for one longer than 128 characters or with characters that are not printable.
    """
    request_id = request_id or _request_id.get() or uuid.uuid4().hex
    if len(request_id) > MAX_REQUEST_ID_CHARACTERS or not request_id.isprintable():
        raise InvalidInputError(
            f"request_id has {len(request_id)} characters; at most {MAX_REQUEST_ID_CHARACTERS} printable ones "
            "are allowed: send a shorter one, or none",
            reason="INVALID_REQUEST_ID",
            value=f"{len(request_id)} characters",
            limit=f"{MAX_REQUEST_ID_CHARACTERS} printable characters",
            remedy="send a shorter one, or none",
        )
    _request_id.set(request_id)
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def cancelled_by_caller() -> CancelledByCallerError:
    """For a stream whose caller stopped without saying that it ended."""
    return CancelledByCallerError("the stream ended without its last message, so it was taken as given up")


@dataclass
class Call:
    """One call in progress: where it came from, and how it ended once it has."""

    method: str
    metadata: Metadata = ()
    peer: str = ""
    remaining_seconds: float | None = None
    started: float = field(default_factory=time.monotonic)
    request_id: str = ""
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    description: str = ""
    num_bytes_in: int = 0
    num_bytes_out: int = 0
    resources: dict[str, str] = field(default_factory=dict)
    """Ids of what the call was about, by the names of the messages' fields: never content."""

    def note_in(self, message: Any) -> None:
        """Counts a message of the caller's."""
        if isinstance(message, Message):
            self.num_bytes_in += message.ByteSize()
            self._note_ids(message)

    def note_out(self, message: Any) -> None:
        """Counts a message to the caller."""
        if isinstance(message, Message):
            self.num_bytes_out += message.ByteSize()
            self._note_ids(message)

    async def counted(
        self, contents: AsyncIterator[bytes], read: Callable[[bytes], Any]
    ) -> AsyncGenerator[Any, None]:
        """The caller's messages, read and counted one by one."""
        async for content in contents:
            message = read(content)
            self.note_in(message)
            yield message

    def _note_ids(self, message: Message) -> None:
        for name in _id_fields(message.DESCRIPTOR):
            value = getattr(message, name)
            if value and name not in self.resources:
                self.resources[name] = value[:_MAX_ID_CHARACTERS]
        for name in _parts_with_ids(message.DESCRIPTOR):
            if message.HasField(name):
                self._note_ids(getattr(message, name))


@cache
def _id_fields(descriptor: Descriptor) -> tuple[str, ...]:
    """Names of the fields that hold an id of something, the call's own left out."""
    return tuple(
        field.name
        for field in descriptor.fields
        if field.name.endswith("_id")
        and field.name != "request_id"
        and field.type == FieldDescriptor.TYPE_STRING
        and not field.is_repeated
    )


@cache
def _parts_with_ids(descriptor: Descriptor) -> tuple[str, ...]:
    """Names of the fields that hold one message with an id in it: what was made, for example."""
    return tuple(
        field.name
        for field in descriptor.fields
        if field.message_type is not None and not field.is_repeated and _id_fields(field.message_type)
    )


class CallRunner:
    """Runs servicer methods with everything of this module around them.

    Whatever a method raises leaves here as an error of our tree: its own, one made from a failed call to
    another service, or, for anything unexpected, one that tells the caller the trace and request id and
    nothing else, while the log gets the traceback. Cancellation passes through as it is.
    """

    def __init__(
        self,
        *,
        default_deadline_seconds: float = 120.0,
        on_end: Callable[[Call], Awaitable[None]] | None = None,
    ) -> None:
        self._default_deadline_seconds = default_deadline_seconds
        self._on_end = on_end
        self._instruments = CallInstruments.create("server")

    async def single(self, call: Call, request: Any, behavior: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """The one answer of `behavior`, within the caller's deadline and the default one.

        A stream of requests has an hour instead of the default.
        """
        span = self._begin(call)
        try:
            call.note_in(request)
            call.request_id = adopt_request_id(_request_id_of(request, call.metadata))
            is_stream = hasattr(request, "__aiter__")
            seconds = remaining_seconds(
                _CLIENT_STREAM_SECONDS if is_stream else self._default_deadline_seconds
            )
            try:
                async with asyncio.timeout(seconds) as timer:
                    answer = await behavior()
                call.note_out(answer)
                return answer
            except TimeoutError as error:
                if not timer.expired():
                    raise  # some inner wait of the servicer's, not this one
                raise DeadlineError(
                    f"{call.method} did not end within {seconds:.1f} s; send less at once, or set a later deadline",
                    value=f"more than {seconds:.1f} s",
                    limit=f"{seconds:.1f} s",
                    remedy="send less at once, or set a later deadline",
                ) from error
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED  # the caller left, or its own deadline passed
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes an error of ours here
            ours = self._failure(call, span, error)
            raise ours from (error.__cause__ if ours is error else error)
        finally:
            await self._finish(call, span)

    async def stream(
        self, call: Call, request: Any, behavior: Callable[[], Any]
    ) -> AsyncGenerator[Any, None]:
        """The answers of `behavior`, an async generator function or a coroutine that writes by itself."""
        span = self._begin(call)
        try:
            call.note_in(request)
            call.request_id = adopt_request_id(_request_id_of(request, call.metadata))
            answers = behavior()
            if inspect.isawaitable(answers):
                await answers
            else:
                async for answer in answers:
                    call.note_out(answer)
                    yield answer
        except (asyncio.CancelledError, GeneratorExit):
            call.code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes an error of ours here
            ours = self._failure(call, span, error)
            raise ours from (error.__cause__ if ours is error else error)
        finally:
            await self._finish(call, span)

    def _begin(self, call: Call) -> CallSpan:
        structlog.contextvars.clear_contextvars()
        _request_id.set("")
        _arrived.set(call.started)
        left = call.remaining_seconds
        _deadline.set(None if left is None else time.monotonic() + left)
        self._instruments.active.add(1, {"rpc.method": call.method})
        if _is_quiet(call.method):
            return CallSpan(INVALID_SPAN)
        return start_server_span(call.method, call.metadata)

    def _failure(self, call: Call, span: CallSpan, error: Exception) -> Exception:
        """`error` as the caller may see it; remembered in `call`."""
        if isinstance(error, grpc.aio.AbortError):  # the servicer ended the call itself
            call.code, call.description = grpc.StatusCode.UNKNOWN, "aborted"
            return error
        ours = self._as_ours(call, span, error)
        call.code, call.reason, call.description = to_status_code(ours), ours.reason, ours.message
        return ours

    def _as_ours(self, call: Call, span: CallSpan, error: Exception) -> UniaudioError:
        if isinstance(error, UniaudioError):
            return error
        if isinstance(error, grpc.RpcError):
            return error_from_rpc(error)
        log.error("call failed unexpectedly", method=call.method, exc_info=error, **span.ids())
        span.span.record_exception(error)
        known = {"request_id": call.request_id, **span.ids()}
        where = " ".join(f"{key}={value}" for key, value in known.items() if key != "span_id")
        return UniaudioError(
            f"an unexpected error inside the server; its log has the cause under {where}",
            value="an unexpected error",
            limit="an answer",
            remedy="try again; its log has the cause",
            **known,
        )

    async def _finish(self, call: Call, span: CallSpan) -> None:
        call.request_id = _request_id.get() or call.request_id
        if self._on_end is not None:
            try:
                await self._on_end(call)
            except Exception:
                log.exception("the end of a call failed", method=call.method, request_id=call.request_id)
        self._tell(call, span)

    def _tell(self, call: Call, span: CallSpan) -> None:
        seconds = time.monotonic() - call.started
        attributes: dict[str, str | int] = {
            "rpc.method": call.method,
            "rpc.grpc.status_code": call.code.value[0],
        }
        self._instruments.active.add(-1, {"rpc.method": call.method})
        self._instruments.duration.record(seconds, attributes)
        if call.code is not grpc.StatusCode.OK:
            self._instruments.errors.add(1, attributes)
        extra = {"error": call.description} if call.description else {}
        write = log.debug if _is_quiet(call.method) else log.info
        write(
            "call",
            method=call.method,
            code=call.code.name,
            seconds=round(seconds, 4),
            peer=call.peer,
            request_id=call.request_id,
            **extra,
            **span.ids(),
        )
        span.end(call.code.value[0], call.description)


def _is_quiet(method: str) -> bool:
    return method.startswith(_QUIET_PREFIXES)


def _request_id_of(request: Any, metadata: Metadata) -> str:
    """The id that the caller chose: the request's own field, else the metadata, else ""."""
    own = getattr(request, "request_id", "")
    if isinstance(own, str) and own:
        return own
    for key, value in metadata:
        if key == REQUEST_ID_KEY and isinstance(value, str):
            return value
    return ""
