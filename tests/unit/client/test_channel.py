"""Who is named where a call reached nobody."""

from __future__ import annotations

import grpc
import pytest
from opentelemetry.trace import INVALID_SPAN

from uniaudio.client.channel import ended
from uniaudio.errors import UnavailableError
from uniaudio.runtime.telemetry import CallSpan

REFUSED = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:9: Connection refused"


def failed(details: str) -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, details=details)


def raised(details: str) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught, ended(CallSpan(INVALID_SPAN), "there:1"):
        raise failed(details)
    return caught.value


def test_nobody_answers_at_the_address() -> None:
    error = raised(REFUSED)
    assert error.reason == "UNREACHABLE"
    assert error.message.startswith("nobody answers at there:1: Connection refused;")


def test_whoever_answers_that_it_reached_nobody_is_not_the_one_who_is_missing() -> None:
    error = raised(f"the tokenizer at other:2 is not ready: {REFUSED}")
    assert error.reason != "UNREACHABLE"
    assert "the tokenizer at other:2 is not ready" in error.message
