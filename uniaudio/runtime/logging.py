"""Structured logs: one JSON object a line on stderr, or readable lines on a terminal.

Every line carries the service, and inside a call its request_id, trace_id and span_id. Lines of other
libraries (the standard logging module) take the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = ("debug", "info", "warning", "error")


def setup_logging(service_name: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Makes structlog and the standard logging module write to `stream` (stderr) in one form."""
    stream = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _service_adder(service_name),
        add_trace_ids,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_renderers(stream.isatty()))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def get_logger(name: str) -> Any:
    """A logger whose lines carry `name` as "module"; call it as log.info("event", key=value)."""
    # Initial values keep the logger lazy, so one made at import follows a later setup_logging.
    return structlog.get_logger(module=name)


def add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Adds trace_id and span_id of the running span, as lower-case hex."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event.setdefault("trace_id", trace.format_trace_id(context.trace_id))
        event.setdefault("span_id", trace.format_span_id(context.span_id))
    return event


def _service_adder(service_name: str) -> Processor:
    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service_name
        return event

    return add_service


def _renderers(for_people: bool) -> list[Processor]:
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if for_people:
        plain = structlog.dev.plain_traceback  # the fancy one prints every local variable
        return [drop, structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [drop, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
