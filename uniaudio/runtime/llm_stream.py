"""Streams through Triton, and how they are left: read to their end, never cancelled.

When a client cancels a stream while the last answer is on its way, Triton's gRPC front end (2.51) gives
the stream's memory back twice: the whole server dies, with every other stream. So a stream whose last
answer was read is read to its end, and one that is given up is stopped by a request first. That one goes
by the same stream: by another it might reach another replica.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)


class LlmStream:
    """One request's stream: `send`, then `read` until `grpc.aio.EOF`.

    `is_over` is for its reader to set once the last answer was read. A caller's own cancellation never
    reaches the call: leave the stream by `LlmStreams.leave`.
    """

    def __init__(self, call: Any, request: Any) -> None:
        self._call = call
        self._request = request
        self._step: asyncio.Task[Any] | None = None  # what the call is busy with
        self._is_sent = self._has_said_all = False
        self.is_over = False

    @property
    def has_ended(self) -> bool:
        """Whether the call is done, by its end, an error or `cancel`, and nothing waits for it."""
        return bool(self._call.done()) and self._step is None

    async def send(self, seconds: float) -> None:
        """Sends the request; TimeoutError and the call's end when no connection takes it in time."""
        try:
            await self._within(seconds, self._write)
        except TimeoutError:
            self._call.cancel()
            raise

    async def read(self, seconds: float | None = None) -> Any:
        """The next response or `grpc.aio.EOF`; after a TimeoutError it may be called again."""
        return await self._within(seconds, self._read)

    async def details(self) -> str:
        """What gRPC says of the call's end."""
        return str(await self._call.details())

    async def run_out(self, seconds: float, stopping: Any) -> None:
        """Reads to the end what nobody listens to; `stopping` is sent where the last answer was not read."""
        try:
            async with asyncio.timeout(seconds):
                if not self._is_sent and not self._call.done():
                    await self._within(None, self._write)
                if not self.is_over and not self._call.done():
                    await self._say_all(stopping)
                while not self._call.done():
                    await self.read()
        except TimeoutError:
            log.warning("a stream did not end when it was left", seconds=seconds)
        except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.InternalError) as error:
            log.debug("a stream broke when it was left", cause=str(error))
        finally:
            self._call.cancel()  # for a call that has ended this is nothing
            if self._step is not None:
                self._step.cancel()  # gRPC leaves a write without a connection waiting for ever
                await asyncio.gather(self._step, return_exceptions=True)

    async def _write(self) -> None:
        await self._call.write(self._request)
        self._is_sent = True

    async def _read(self) -> Any:
        if self.is_over:
            await self._say_all()  # Triton ends the stream then
        return await self._call.read()

    async def _say_all(self, last: Any = None) -> None:
        """Sends a last request, where there is one, and that no more will come."""
        if self._has_said_all:
            return
        self._has_said_all = True
        if last is not None:
            await self._call.write(last)
        await self._call.done_writing()

    async def _within(self, seconds: float | None, step: Callable[[], Awaitable[Any]]) -> Any:
        # gRPC cancels a call when a read or write of it is, so these run in tasks of their own.
        if self._step is None:
            self._step = asyncio.ensure_future(step())
        done, _ = await asyncio.wait({self._step}, timeout=seconds)
        if not done:
            raise TimeoutError
        finished, self._step = self._step, None
        return finished.result()


class LlmStreams:
    """The streams of one channel, those that were left included.

    Args:
        open_call: the stub's ModelStreamInfer.
        leave_seconds: longest that a stream may take to end once it was left; it is cancelled then, at
            the risk told above.
    """

    def __init__(self, open_call: Callable[..., Any], leave_seconds: float) -> None:
        self._open_call = open_call
        self._leave_seconds = leave_seconds
        self._leaving: set[asyncio.Task[None]] = set()

    def open(self, request: Any, seconds: float, metadata: Any = ()) -> LlmStream:
        """A stream for one request, which may take so long."""
        # A channel in back-off must not refuse a service that is back.
        call = self._open_call(metadata=metadata, timeout=seconds, wait_for_ready=True)
        return LlmStream(call, request)

    def leave(self, stream: LlmStream, stopping: Any = None) -> None:
        """Ends a stream behind its reader's back; `stopping` is the request that asks Triton to stop it."""
        if stream.has_ended:
            return
        task = asyncio.create_task(stream.run_out(self._leave_seconds, stopping))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Waits for the streams that were left."""
        while self._leaving:
            await asyncio.wait(self._leaving)
