"""Every error of our tree has a status, and comes back from it as itself."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from uniaudio import errors
from uniaudio.runtime.status import (
    CODES,
    DETAILS_KEY,
    all_error_classes,
    error_from_rich_status,
    error_from_rpc,
    find_code,
    retry_after_seconds,
    to_rich_status,
    to_status_code,
)

OURS = [cls for cls in all_error_classes() if cls.__module__ == errors.__name__]


def rpc_error(
    code: grpc.StatusCode, details: str = "", metadata: tuple[tuple[str, bytes], ...] = ()
) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), details)


@pytest.mark.parametrize("cls", OURS)
def test_somebody_decided_about_every_class(cls: type[errors.UniaudioError]) -> None:
    assert find_code(cls) is not None, f"add {cls.__name__} or a parent of it to CODES"


@pytest.mark.parametrize("cls", OURS)
def test_an_error_survives_the_wire(cls: type[errors.UniaudioError]) -> None:
    sent = cls("value 7, limit 5, send less", limit=5)
    packed = to_rich_status(sent).SerializeToString()
    got = error_from_rpc(rpc_error(to_status_code(sent), sent.message, ((DETAILS_KEY, packed),)))
    assert (type(got), got.message, got.reason) == (cls, sent.message, sent.reason)
    assert got.metadata == {"limit": "5"}
    assert got.retryable is sent.retryable


def test_a_reason_of_its_own_keeps_the_code_s_class() -> None:
    got = error_from_rich_status(to_rich_status(errors.InvalidAudioError("no", reason="TRUNCATED")))
    assert type(got) is errors.InvalidInputError
    assert got.reason == "TRUNCATED"


def test_a_subclass_shares_its_parent_s_code() -> None:
    class Odd(errors.LimitExceededError):
        reason = "ODD"

    assert Odd not in CODES
    assert to_status_code(Odd("x")) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_full_queue_says_when_to_come_back() -> None:
    status = to_rich_status(errors.QueueFullError("full", retry_after_seconds=2.5))
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 2.5
    back = error_from_rich_status(status)
    assert back is not None
    assert retry_after_seconds(back) == 2.5


def test_a_huge_message_fits_the_headers() -> None:
    status = to_rich_status(errors.InvalidInputError("长" * 100_000, text="长" * 100_000))
    assert len(status.SerializeToString()) < 4_000


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, "connection refused", errors.UnavailableError),
        (grpc.StatusCode.CANCELLED, "RST_STREAM with error code 8", errors.UnavailableError),
        (grpc.StatusCode.CANCELLED, "Locally cancelled by application!", errors.CancelledByCallerError),
        (grpc.StatusCode.UNKNOWN, "Received http2 header with status: 500", errors.UnavailableError),
        (
            grpc.StatusCode.NOT_FOUND,
            "Application metadata not set. Ping /ray.serve.RayServeAPIService/ListApplications",
            errors.UnavailableError,
        ),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max", errors.LimitExceededError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", errors.QueueFullError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", errors.DeadlineError),
        (grpc.StatusCode.INVALID_ARGUMENT, "no", errors.InvalidInputError),
        (grpc.StatusCode.DATA_LOSS, "gone", errors.UniaudioError),
    ],
)
def test_a_bare_code_has_a_meaning(
    code: grpc.StatusCode, details: str, expected: type[errors.UniaudioError]
) -> None:
    assert type(error_from_rpc(rpc_error(code, details))) is expected


def test_a_broken_trailer_leaves_the_bare_code() -> None:
    got = error_from_rpc(rpc_error(grpc.StatusCode.UNAVAILABLE, "away", ((DETAILS_KEY, b"\xff\xff"),)))
    assert type(got) is errors.UnavailableError
