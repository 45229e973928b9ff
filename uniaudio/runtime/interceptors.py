"""The grpc.aio adapter of `calls`: every call of a server runs inside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message

from uniaudio.errors import UniaudioError
from uniaudio.runtime.calls import Call, CallRunner
from uniaudio.runtime.status import DETAILS_KEY, to_rich_status, to_status_code

Behavior = Callable[..., Any]


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
        return make(
            wrap(behavior, handler_call_details),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
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

    def _single(self, behavior: Behavior, details: grpc.HandlerCallDetails) -> Behavior:
        async def run(request: Any, context: Any) -> Any:
            call = _call_of(details, context)
            if not isinstance(request, Message):
                request = call.counted(request)
            try:
                return await self._runner.single(call, request, lambda: behavior(request, context))
            except UniaudioError as error:
                await abort(context, error)

        return run

    def _stream(self, behavior: Behavior, details: grpc.HandlerCallDetails) -> Behavior:
        async def run(request: Any, context: Any) -> AsyncGenerator[Any, None]:
            call = _call_of(details, context)
            if not isinstance(request, Message):
                request = call.counted(request)
            try:
                async with aclosing(
                    self._runner.stream(call, request, lambda: behavior(request, context))
                ) as answers:
                    async for answer in answers:
                        yield answer
            except UniaudioError as error:
                await abort(context, error)

        return run


async def abort(context: Any, error: UniaudioError) -> NoReturn:
    """Ends a grpc.aio call with the rich status of `error`."""
    status = to_rich_status(error)
    details = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(to_status_code(error), status.message, details)
    raise AssertionError("abort always raises")


def _call_of(details: grpc.HandlerCallDetails, context: Any) -> Call:
    metadata = tuple((str(key), value) for key, value in details.invocation_metadata or ())
    return Call(details.method, metadata, context.peer(), context.time_remaining())
