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


class BodyRefusedError(HTTPException):
    """A body that is not read to its end; the framework lets no other error out of where it reads one."""

    def __init__(self, status: int, told: UniaudioError) -> None:
        # Or the server would read the rest, to use the connection again.
        super().__init__(status, told.message, {"Connection": "close", **_retry_after(told)})
        self.told = told


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
    app.add_exception_handler(BodyRefusedError, _refused_body)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def error_response(error: UniaudioError) -> JSONResponse:
    """The answer that tells of `error`, with Retry-After where waiting helps."""
    return JSONResponse(error_body(error), http_status(error), _retry_after(error))


def _retry_after(error: UniaudioError) -> dict[str, str]:
    if isinstance(error, QueueFullError | UnavailableError):
        return {"Retry-After": str(max(1, math.ceil(retry_after_seconds(error))))}
    return {}


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UniaudioError)
    return error_response(error)


async def _refused_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BodyRefusedError)
    return JSONResponse(error_body(error.told), error.status_code, error.headers)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses: no such path or method, a body that is no form."""
    assert isinstance(error, HTTPException)
    told = InvalidInputError(
        error.detail,
        reason=f"HTTP_{error.status_code}",
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
