"""Errors in OpenAI's shape, with our reason and metadata inside; one table from gRPC's codes to HTTP's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import grpc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from uniaudio.errors import InvalidInputError, QueueFullError, UnavailableError, UniaudioError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.status import retry_after_seconds, to_status_code

log = get_logger(__name__)

# As google.rpc.Code says; a condition that forbids the request is the caller's to change, so 409.
_STATUS: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class BodyTooLargeError(HTTPException):
    """More bytes than a body may have; raised while they arrive, so the rest is never read."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            413,
            f"the request's body has {size_bytes} bytes or more, the limit is {limit_bytes}; "
            "send FLAC, OGG or MP3, or cut the recording",
            {"Connection": "close"},  # or the server would read the rest, to use the connection again
        )


def unsupported(field: str, value: object, limit: str, remedy: str) -> InvalidInputError:
    """For what OpenAI's API has and this model cannot do."""
    return InvalidInputError(
        f"{field} cannot be {value} here; {remedy}",
        reason="UNSUPPORTED_PARAMETER",
        field=field,
        value=value,
        limit=limit,
        remedy=remedy,
    )


def http_status(error: UniaudioError) -> int:
    """The HTTP status that `error` travels under."""
    if error.metadata.get("code") == grpc.StatusCode.UNIMPLEMENTED.name:
        return 501  # a service behind that is older, or was set up without this part
    return _STATUS.get(to_status_code(error), 500)


def error_body(error: UniaudioError, *, param: str | None = None) -> dict[str, Any]:
    """`error` as OpenAI's clients read it, under "error"."""
    status = http_status(error)
    return {
        "error": {
            "message": error.message,
            "type": _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error"),
            "param": param or error.metadata.get("field"),
            "code": error.reason.lower(),
            "metadata": error.metadata,
        }
    }


def install_errors(app: FastAPI) -> None:
    """Makes every refusal and failure of `app` an answer in that shape."""
    app.add_exception_handler(UniaudioError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def error_response(error: UniaudioError) -> JSONResponse:
    """The answer that tells of `error`, with Retry-After where waiting helps."""
    headers = {}
    if isinstance(error, QueueFullError | UnavailableError):
        headers["Retry-After"] = str(max(1, math.ceil(retry_after_seconds(error))))
    return JSONResponse(error_body(error), http_status(error), headers)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UniaudioError)
    return error_response(error)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses: no such path or method, a body that is no form, one that is too large."""
    assert isinstance(error, HTTPException)
    reason = "BODY_TOO_LARGE" if error.status_code == 413 else f"HTTP_{error.status_code}"
    told = InvalidInputError(
        error.detail,
        reason=reason,
        value=error.detail,
        limit="what /openapi.json describes",
        remedy="see /docs for what there is",
    )
    return JSONResponse(error_body(told), error.status_code, error.headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """A field that is missing or of the wrong kind; the first one is told, as OpenAI does."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:]) or "body"
    told = InvalidInputError(
        f"{param}: {first['msg']}; see /docs for what it takes",
        value=str(first.get("input"))[:100],
        limit=first["msg"],
        remedy="see /docs for what it takes",
    )
    return JSONResponse(error_body(told, param=param), 400)


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    log.error("request failed unexpectedly", exc_info=error)
    told = UniaudioError(
        "an unexpected error inside the gateway; its log has the cause, under the request's id",
        value="an unexpected error",
        limit="an answer",
        remedy="try again; the log has the cause",
    )
    return error_response(told)
