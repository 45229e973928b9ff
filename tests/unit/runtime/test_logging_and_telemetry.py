"""Logs are one JSON object a line; telemetry is off until the environment asks for it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from uniaudio.errors import StartupError
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.telemetry import is_telemetry_on, setup_telemetry, start_client_span

early = get_logger("early")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup_logging("sample", "info", stream)
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_lines_are_json_with_service_and_context(lines: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1")
    early.info("hello", text="长")
    early.debug("unseen")
    logging.getLogger("library").warning("from %s", "elsewhere")
    first, second = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (first["event"], first["service"], first["request_id"], first["text"]) == (
        "hello",
        "sample",
        "r1",
        "长",
    )
    assert (first["module"], first["level"]) == ("early", "info")
    assert (second["event"], second["level"], second["service"]) == ("from elsewhere", "warning", "sample")


def test_a_traceback_stays_on_one_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("inner")
    except ValueError as error:
        early.error("failed", exc_info=error)
    (line,) = lines.getvalue().splitlines()
    assert "ValueError: inner" in json.loads(line)["exception"]


@pytest.mark.parametrize(
    ("environ", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "  "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_telemetry_is_off_by_default(environ: dict[str, str], on: bool) -> None:
    assert is_telemetry_on(environ) is on


def test_an_unsupported_protocol_is_refused() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    with pytest.raises(StartupError, match="OTEL_EXPORTER_OTLP_PROTOCOL='http/protobuf' is not supported"):
        setup_telemetry("sample", environ)


def test_while_off_a_call_carries_nothing() -> None:
    span = start_client_span("/a.b.C/D")
    assert (span.metadata, span.ids()) == ([], {})
    span.end()
