"""The grpc.aio adapter of `calls`: every call of a server runs inside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from uniaudio.errors import InvalidInputError, UniaudioError
from uniaudio.runtime.calls import Call, CallRunner
from uniaudio.runtime.status import DETAILS_KEY, to_rich_status, to_status_code

Behavior = Callable[..., Any]
Read = Callable[[bytes], Any]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Surrounds every call with `CallRunner`; errors of our tree reach the caller as rich status.

    Servicers only raise our errors and return answers.
    """

    def __init__(self, runner: CallRunner) -> None:
        self._runner = runner

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler (grpc.RpcMethodHandler) with the runner around it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None  # unknown method: grpc answers UNIMPLEMENTED
        make, behavior, wrap = self._parts(handler)
        read = _reader(handler.request_deserializer)
        return make(
            wrap(behavior, read, handler_call_details), response_serializer=handler.response_serializer
        )

    def _parts(self, handler: Any) -> tuple[Behavior, Behavior, Behavior]:
        """What makes a handler of this kind, the servicer's method, and what surrounds it."""
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler, handler.stream_stream, self._stream
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler, handler.unary_stream, self._stream
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler, handler.stream_unary, self._single
        return grpc.unary_unary_rpc_method_handler, handler.unary_unary, self._single

    def _single(self, behavior: Behavior, read: Read, details: grpc.HandlerCallDetails) -> Behavior:
        async def run(request: Any, context: Any) -> Any:
            call = _call_of(details, context)
            message, work = _work(call, request, read, behavior, context)
            try:
                return await self._runner.single(call, message, work)
            except UniaudioError as error:
                await abort(context, error)

        return run

    def _stream(self, behavior: Behavior, read: Read, details: grpc.HandlerCallDetails) -> Behavior:
        async def run(request: Any, context: Any) -> AsyncGenerator[Any, None]:
            call = _call_of(details, context)
            message, work = _work(call, request, read, behavior, context)
            try:
                async with aclosing(self._runner.stream(call, message, work)) as answers:
                    async for answer in answers:
                        yield answer
            except UniaudioError as error:
                await abort(context, error)

        return run


def _reader(deserialize: Callable[[bytes], Any] | None) -> Read:
    """What turns bytes into a message; raises InvalidInputError where they are none."""

    def read(content: bytes) -> Any:
        try:
            return content if deserialize is None else deserialize(content)
        except DecodeError as error:
            raise InvalidInputError(
                f"the message ({len(content)} bytes) is not one of this method's; use the contract's own stubs",
                reason="MALFORMED_MESSAGE",
                value=f"{len(content)} bytes",
                limit="a serialized message of the method's type",
                remedy="use the contract's own stubs",
            ) from error

    return read


def _work(
    call: Call, request: Any, read: Read, behavior: Behavior, context: Any
) -> tuple[Any, Callable[[], Any]]:
    """The one message of the caller's (None for a stream of them), and the servicer's method on it or on them."""
    if not isinstance(request, bytes):
        messages = call.counted(request, read)
        return None, lambda: behavior(messages, context)
    try:
        message = read(request)
    except InvalidInputError as error:
        refusal = error

        async def refuse() -> NoReturn:
            raise refusal

        return None, refuse
    return message, lambda: behavior(message, context)


async def abort(context: Any, error: UniaudioError) -> NoReturn:
    """Ends a grpc.aio call with the rich status of `error`."""
    status = to_rich_status(error)
    details = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(to_status_code(error), status.message, details)
    raise AssertionError("abort always raises")


def _call_of(details: grpc.HandlerCallDetails, context: Any) -> Call:
    metadata = tuple((str(key), value) for key, value in details.invocation_metadata or ())
    return Call(details.method, metadata, context.peer(), context.time_remaining())
