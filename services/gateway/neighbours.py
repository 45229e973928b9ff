"""What the handlers work with: the clients of the services behind, and the bounds of one request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from uniaudio.client import AsyncSpeechClient
from uniaudio.errors import CancelledByCallerError, DeadlineError

T = TypeVar("T")

_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The services behind the gateway."""

    speech: AsyncSpeechClient
    max_request_seconds: float = 600.0
    traces_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One request: who is behind it, what it may use."""

    request: Request
    speech: AsyncSpeechClient
    max_seconds: float
    traces_url: str = ""

    async def answer(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which ends at once when the caller goes away, and when it has taken too long."""
        task, until = asyncio.ensure_future(work), time.monotonic() + self.max_seconds
        try:
            while not (await asyncio.wait({task}, timeout=_POLL_SECONDS))[0]:
                if await self.request.is_disconnected():
                    raise CancelledByCallerError("the caller closed the connection before its answer")
                if time.monotonic() > until:
                    raise _too_long(self.max_seconds)
            return task.result()
        finally:
            task.cancel()


def _too_long(seconds: float) -> DeadlineError:
    return DeadlineError(
        f"the request did not end within {seconds:g} s; send less at once, or leave it as a job (POST /v1/jobs)",
        value=f"more than {seconds:g} s",
        limit=f"{seconds:g} s",
        remedy="send less at once, or leave it as a job (POST /v1/jobs)",
    )


def _caller(request: Request) -> Caller:
    neighbours: Neighbours = request.app.state.neighbours
    return Caller(
        request=request,
        speech=neighbours.speech,
        max_seconds=neighbours.max_request_seconds,
        traces_url=neighbours.traces_url,
    )


CallerDep = Annotated[Caller, Depends(_caller)]
"""A handler's parameter that brings the caller."""
