"""What surrounds every HTTP request: its id, its token, its span, its line in the log."""

from __future__ import annotations

import re
import time
import uuid
from contextvars import ContextVar

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.bounds import PROBES
from uniaudio.runtime.calls import MAX_REQUEST_ID_CHARACTERS, REQUEST_ID_KEY
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.telemetry import http_span

log = get_logger(__name__)

_bearer: ContextVar[str] = ContextVar("uniaudio_gateway_bearer", default="")
_request_id: ContextVar[str] = ContextVar("uniaudio_gateway_request_id", default="")
_ID = re.compile(rf"[!-~]{{1,{MAX_REQUEST_ID_CHARACTERS}}}")
PROTOCOL, TOKEN_PROTOCOL = "uniaudio", "bearer."


def bearer_token() -> str:
    """The token that the running request came with; "" for none. The services behind judge it."""
    return _bearer.get()


def current_request_id() -> str:
    """The id of the running request, under which the services behind log and trace it, too; "" outside any."""
    return _request_id.get()


class Told:
    """Gives each request an id (its own `x-request-id`, else a new one) and a span, and logs its end.

    The id is answered in the same header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get(REQUEST_ID_KEY, "")
        request_id = asked if _ID.fullmatch(asked) else uuid.uuid4().hex
        _request_id.set(request_id)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        _bearer.set(_token_of(headers))
        status = 0
        began = time.monotonic()

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_KEY] = request_id
            await send(message)

        method = scope.get("method", "WEBSOCKET")
        if scope["path"].startswith(PROBES):  # their lines and spans would hide the others
            await self._app(scope, receive, answered)
            return
        with http_span(method, scope["path"], headers) as span:
            try:
                await self._app(scope, receive, answered)
            finally:
                route = getattr(scope.get("route"), "path", "")  # names of things stay out of spans' names
                span.update_name(f"{method} {route or 'unknown path'}")
                span.set_attribute("http.response.status_code", status)
                seconds = round(time.monotonic() - began, 4)
                log.info("request", method=method, path=scope["path"], status=status, seconds=seconds)


def _token_of(headers: Headers) -> str:
    """Of the header; or of a socket's protocols ("bearer.TOKEN"), as a browser can set no header there."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    offered = (one.strip() for one in headers.get("sec-websocket-protocol", "").split(","))
    return next((one.removeprefix(TOKEN_PROTOCOL) for one in offered if one.startswith(TOKEN_PROTOCOL)), "")
