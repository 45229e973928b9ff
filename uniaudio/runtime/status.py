"""One table from our errors to gRPC status codes, and the way back.

A status carries google.rpc.ErrorInfo (domain "uniaudio", the error's reason and metadata), and
google.rpc.RetryInfo where the caller should wait before it tries again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from uniaudio import errors
from uniaudio.errors import UniaudioError

DOMAIN = "uniaudio"
DETAILS_KEY = "grpc-status-details-bin"
DEFAULT_RETRY_SECONDS = 1.0

# Trailing metadata must fit the usual 8 KiB of headers, percent-encoding of non-ASCII text included.
_MAX_MESSAGE_CHARACTERS = 500
_MAX_VALUE_CHARACTERS = 200

# Looked up along the class order, so a subclass shares its parent's code. The root of the tree is
# absent on purpose: a test then finds every class that nobody decided about.
CODES: Mapping[type[UniaudioError], grpc.StatusCode] = MappingProxyType(
    {
        errors.InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
        errors.NotFoundError: grpc.StatusCode.NOT_FOUND,
        errors.PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
        errors.CheckpointError: grpc.StatusCode.FAILED_PRECONDITION,
        errors.StartupError: grpc.StatusCode.FAILED_PRECONDITION,
        errors.ModelOutputError: grpc.StatusCode.INTERNAL,
        errors.QueueFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
        errors.UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
        errors.PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
        errors.DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
        errors.CancelledByCallerError: grpc.StatusCode.CANCELLED,
        errors.UnavailableError: grpc.StatusCode.UNAVAILABLE,
        errors.StoreError: grpc.StatusCode.FAILED_PRECONDITION,
        errors.LeaseError: grpc.StatusCode.FAILED_PRECONDITION,
    }
)

_REMEDIES: Mapping[grpc.StatusCode, str] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: "change the request",
        grpc.StatusCode.OUT_OF_RANGE: "change the request",
        grpc.StatusCode.RESOURCE_EXHAUSTED: "try again in some seconds",
        grpc.StatusCode.UNAUTHENTICATED: "send a valid token",
        grpc.StatusCode.PERMISSION_DENIED: "use a token with the right to it",
        grpc.StatusCode.DEADLINE_EXCEEDED: "send less at once, or set a later deadline",
        grpc.StatusCode.UNAVAILABLE: "see that the service runs, or try again in some seconds",
        grpc.StatusCode.UNIMPLEMENTED: "use a server of the same version",
    }
)

# What a bare code means when no ErrorInfo of ours came with it (a proxy, grpc itself, a dead peer).
_BY_CODE: Mapping[grpc.StatusCode, type[UniaudioError]] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidInputError,
        grpc.StatusCode.OUT_OF_RANGE: errors.InvalidInputError,
        grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
        grpc.StatusCode.FAILED_PRECONDITION: errors.PreconditionError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: errors.QueueFullError,
        grpc.StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
        grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
        grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineError,
        grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
        # A cancel that the caller did not ask for: its own cancel never arrives as a status (see below).
        grpc.StatusCode.CANCELLED: errors.UnavailableError,
        grpc.StatusCode.ABORTED: errors.UnavailableError,
    }
)


def find_code(error_class: type[UniaudioError]) -> grpc.StatusCode | None:
    """The code of the nearest class in the table, or None where nobody decided."""
    for cls in error_class.__mro__:
        if cls in CODES:
            return CODES[cls]
    return None


def to_status_code(error: UniaudioError) -> grpc.StatusCode:
    """The gRPC code that `error` travels under."""
    return find_code(type(error)) or grpc.StatusCode.INTERNAL


def to_rich_status(error: UniaudioError) -> status_pb2.Status:
    """`error` as google.rpc.Status: code, message, ErrorInfo, and RetryInfo for a full queue."""
    status = status_pb2.Status(
        code=to_status_code(error).value[0],
        message=_shorten(error.message, _MAX_MESSAGE_CHARACTERS),
    )
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=error.reason)
    for key, value in error.metadata.items():
        info.metadata[key] = _shorten(value, _MAX_VALUE_CHARACTERS)
    status.details.add().Pack(info)
    if isinstance(error, errors.QueueFullError):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(retry_after_seconds(error) * 1e9))
        status.details.add().Pack(retry)
    return status


def retry_after_seconds(error: UniaudioError) -> float:
    """Seconds to wait before the same request is worth another try."""
    return float(error.metadata.get("retry_after_seconds", DEFAULT_RETRY_SECONDS))


def error_from_rpc(error: grpc.RpcError) -> UniaudioError:
    """The error of our tree that a failed call stands for; `retryable` says whether to try again.

    The error a server of ours raised comes back as its own class with reason and metadata. Anything
    else is read from the bare code; a CANCELLED that the caller did not ask for means that the peer or a
    proxy dropped the call, so it is UnavailableError. The caller keeps the cause: `raise ... from error`.
    """
    code = error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else None) or ""
    status = _find_rich_status(error)
    if status is not None:
        rebuilt = error_from_rich_status(status)
        if rebuilt is not None:
            return rebuilt
    return _from_bare_code(code, details)


def error_from_rich_status(status: status_pb2.Status) -> UniaudioError | None:
    """The error that `status` was made from, or None where it carries no ErrorInfo of ours."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    if info.domain != DOMAIN:
        return None
    return _class_of(info.reason, status.code)(
        status.message, reason=info.reason or None, **dict(info.metadata)
    )


def all_error_classes(root: type[UniaudioError] = UniaudioError) -> Iterator[type[UniaudioError]]:
    """Every class below `root`."""
    for cls in root.__subclasses__():
        yield cls
        yield from all_error_classes(cls)


def _class_of(reason: str, code: int) -> type[UniaudioError]:
    """The class whose own reason this is; else, for a reason of the instance's own, the class of the code."""
    candidates = [cls for cls in all_error_classes() if _code_number(cls) == code]
    for cls in candidates:
        if cls.reason == reason:
            return cls
    if code == grpc.StatusCode.INTERNAL.value[0]:
        return UniaudioError
    return next((cls for cls in CODES if cls in candidates), UniaudioError)


def _code_number(cls: type[UniaudioError]) -> int:
    number: int = (find_code(cls) or grpc.StatusCode.INTERNAL).value[0]
    return number


def _find_rich_status(error: grpc.RpcError) -> status_pb2.Status | None:
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return None
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = status_pb2.Status()
            try:
                status.ParseFromString(value)
            except DecodeError:
                return None  # a proxy's broken trailer tells nothing beyond the bare code
            return status
    return None


def _from_bare_code(code: grpc.StatusCode, details: str) -> UniaudioError:
    lowered = details.lower()
    if code is grpc.StatusCode.CANCELLED and "locally cancelled" in lowered:
        return errors.CancelledByCallerError("the call was cancelled by its caller")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in lowered:
        return errors.LimitExceededError(
            f"the message is too large for the connection: {details}; send less, or use a stream",
            reason="MESSAGE_TOO_LARGE",
            value=details,
            limit="the connection's largest message",
            remedy="send less, or use a stream",
        )
    if (code is grpc.StatusCode.UNKNOWN and "http" in lowered) or (
        code is grpc.StatusCode.NOT_FOUND and "rayserveapiservice" in lowered
    ):
        # A proxy answered in the server's place while no replica was there.
        return errors.UnavailableError(
            f"the service could not be reached: {details}; try again in some seconds",
            **_as_metadata(code, details),
        )
    cls = _BY_CODE.get(code, UniaudioError)
    told = _as_metadata(code, details)
    return cls(f"{details or 'no details'} ({code.name}); {told['remedy']}", **told)


def _as_metadata(code: grpc.StatusCode, details: str) -> dict[str, str]:
    """What a caller is told of a failure that came without details of ours."""
    return {
        "code": code.name,
        "value": details or code.name,
        "limit": "an answer of the service",
        "remedy": _REMEDIES.get(code, "try again; the service's log has the cause"),
    }


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
