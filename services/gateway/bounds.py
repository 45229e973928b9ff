"""What one process takes on at most: requests at once, bytes of bodies, and how slowly a body may come."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.errors import BodyRefusedError, error_response
from uniaudio.errors import DeadlineError, LimitExceededError, QueueFullError

PROBES = ("/health/",)
"""Asked all the time, and answered whatever else is going on: an orchestrator of pods must not take load for death."""
_TRY_AGAIN_LATER = 1013
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The bounds of a gateway; a body's are counted while it is read, whatever its headers promised."""

    max_requests: int = 256
    max_body_bytes: int = 66 << 20
    max_held_bytes: int = 256 << 20
    max_body_seconds: float = 600.0
    max_silence_seconds: float = 30.0


class Crowd:
    """Lets `max_requests` in at once, probes not counted; further ones are told at once to come back."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self._app, self._bounds, self._num_inside = app, bounds, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"].startswith(PROBES):
            await self._app(scope, receive, send)
        elif self._num_inside < self._bounds.max_requests:
            self._num_inside += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._num_inside -= 1
        elif scope["type"] == "http":
            await error_response(_crowded(self._bounds.max_requests))(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})


class Bodies:
    """Stops reading a body that is too large, comes too slowly, or finds no room beside the others'."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self._app, self._bounds, self._num_held = app, bounds, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, self._bounds)

        async def bounded() -> Message:
            num_before = body.num_read
            try:
                message = await body.next(receive)
            finally:
                self._num_held += body.num_read - num_before
            if self._num_held > self._bounds.max_held_bytes:
                raise BodyRefusedError(429, _no_room(self._bounds.max_held_bytes))
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            self._num_held -= body.num_read


class _Body:
    """One request's body while it comes."""

    def __init__(self, scope: Scope, bounds: Bounds) -> None:
        declared = Headers(scope=scope).get("content-length", "")
        self._num_declared = int(declared) if declared.isdigit() else 0
        self._bounds = bounds
        self._until = time.monotonic() + bounds.max_body_seconds
        self._has_ended = False
        self.num_read = 0

    async def next(self, receive: Receive) -> Message:
        """The next message: more of the body, or, after its end, that the caller left."""
        if self._has_ended:
            return await receive()
        self._check(self._num_declared)
        seconds = min(self._bounds.max_silence_seconds, self._until - time.monotonic())
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError as error:
            raise BodyRefusedError(408, _too_slow(self._bounds)) from error
        self.num_read += len(message.get("body", b""))
        self._has_ended = not message.get("more_body", False)
        self._check(self.num_read)
        return message

    def _check(self, num_bytes: int) -> None:
        limit = self._bounds.max_body_bytes
        if num_bytes > limit:
            raise BodyRefusedError(413, _too_large(num_bytes, limit))


def _crowded(limit: int) -> QueueFullError:
    return QueueFullError(
        f"{limit} requests are being answered, which is the most at once; try again in a moment",
        retry_after_seconds=_RETRY_SECONDS,
        value=limit + 1,
        limit=limit,
        remedy="try again in a moment",
    )


def _no_room(limit: int) -> QueueFullError:
    return QueueFullError(
        f"recordings of {limit} bytes are being read, which is the most at once; try again in a moment",
        retry_after_seconds=_RETRY_SECONDS,
        value=f"more than {limit} bytes",
        limit=limit,
        remedy="try again in a moment",
    )


def _too_slow(bounds: Bounds) -> DeadlineError:
    limit = f"{bounds.max_silence_seconds:g} s between two pieces, {bounds.max_body_seconds:g} s for all"
    return DeadlineError(
        f"the request's body comes too slowly; the limit is {limit}: send it faster, or less of it",
        reason="BODY_TOO_SLOW",
        value="slower",
        limit=limit,
        remedy="send it faster, or less of it",
    )


def _too_large(size_bytes: int, limit: int) -> LimitExceededError:
    return LimitExceededError(
        f"the request's body has {size_bytes} bytes or more, the limit is {limit}; send FLAC, OGG or MP3, or cut "
        "the recording",
        reason="BODY_TOO_LARGE",
        value=size_bytes,
        limit=limit,
        remedy="send FLAC, OGG or MP3, or cut the recording",
    )
