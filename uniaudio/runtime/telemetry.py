"""OpenTelemetry traces and metrics: off by default, on when an OTLP endpoint is in the environment.

Spans of calls are made here rather than by a generic interceptor: a generic client interceptor turns a
streaming call into a generator that cannot be cancelled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry import context as otel_context
from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from uniaudio.errors import StartupError

ENDPOINT_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_PROTOCOL_VARIABLES = (
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
)
_SCOPE = "uniaudio"
SECONDS_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bounds of histograms of seconds: OpenTelemetry's own are made for milliseconds."""


def is_telemetry_on(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names an OTLP endpoint and does not switch the SDK off."""
    environ = os.environ if environ is None else environ
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return any(environ.get(name, "").strip() for name in ENDPOINT_VARIABLES)


def setup_telemetry(service_name: str, environ: Mapping[str, str] | None = None) -> Callable[[], None]:
    """Starts export when the environment asks for it; returns what flushes and stops it.

    OTEL_EXPORTER_OTLP_ENDPOINT switches it on; the other OTEL_* variables mean what the OpenTelemetry
    specification says (sampler, headers, intervals). OTEL_SERVICE_NAME replaces `service_name`.
    Raises StartupError for an OTLP protocol other than grpc.
    """
    environ = os.environ if environ is None else environ
    if not is_telemetry_on(environ):
        return _nothing
    for variable in _PROTOCOL_VARIABLES:
        protocol = environ.get(variable, "").strip()
        if protocol not in ("", "grpc"):
            raise StartupError(
                f"{variable}={protocol!r} is not supported; set it to grpc, and give the collector's gRPC port",
                reason="INVALID_SETTING",
                variable=variable,
            )
    return _start_export(environ.get("OTEL_SERVICE_NAME", "").strip() or service_name)


def _start_export(service_name: str) -> Callable[[], None]:
    # Imported only when asked for: the exporters cost 0.3 s and 20 MB.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": service_name})
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer_provider)
    meter_provider = MeterProvider(
        resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())]
    )
    metrics.set_meter_provider(meter_provider)

    def shutdown() -> None:
        tracer_provider.shutdown()
        meter_provider.shutdown()

    return shutdown


def _nothing() -> None:
    return None


def get_tracer() -> Tracer:
    """The tracer of this process; its spans cost next to nothing while telemetry is off."""
    return trace.get_tracer(_SCOPE)


def get_meter() -> Meter:
    """The meter of this process: get_meter().create_counter(name, unit, description) and so on."""
    return metrics.get_meter(_SCOPE)


@dataclass(frozen=True)
class CallInstruments:
    """Metrics of one side ("server" or "client") of our gRPC calls."""

    duration: Histogram
    active: UpDownCounter
    errors: Counter

    @classmethod
    def create(cls, side: str, meter: Meter | None = None) -> CallInstruments:
        """Instruments named rpc.<side>.*"""
        meter = meter or get_meter()
        return cls(
            duration=meter.create_histogram(
                f"rpc.{side}.duration",
                "s",
                "Duration of calls.",
                explicit_bucket_boundaries_advisory=SECONDS_BUCKETS,
            ),
            active=meter.create_up_down_counter(f"rpc.{side}.active", "{call}", "Calls in progress."),
            errors=meter.create_counter(f"rpc.{side}.errors", "{call}", "Calls that ended with an error."),
        )


@dataclass
class CallSpan:
    """A span of one call and, on the client's side, the metadata that carries it to the server."""

    span: Span
    metadata: list[tuple[str, str]] = field(default_factory=list)

    def ids(self) -> dict[str, str]:
        """trace_id and span_id as hex, or nothing while telemetry is off."""
        context = self.span.get_span_context()
        if not context.is_valid:
            return {}
        return {
            "trace_id": trace.format_trace_id(context.trace_id),
            "span_id": trace.format_span_id(context.span_id),
        }

    def end(self, code_number: int = 0, description: str = "") -> None:
        """Ends the span with the call's gRPC status code."""
        self.span.set_attribute("rpc.grpc.status_code", code_number)
        if code_number != 0:
            self.span.set_status(Status(StatusCode.ERROR, description))
        self.span.end()


def start_client_span(method: str) -> CallSpan:
    """A span for a call that is about to be made; send its `metadata` with the call, then `end` it.

    `method` is the full name, "/uniaudio.v1.TokenizerService/Encode".
    """
    span = get_tracer().start_span(method.lstrip("/"), kind=SpanKind.CLIENT, attributes=_attributes(method))
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(span))
    return CallSpan(span, list(carrier.items()))


def start_server_span(method: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> CallSpan:
    """A span for a call that arrived, the child of the caller's; becomes current in this task.

    It stays current until the task ends: grpc.aio runs every call in a task of its own.
    """
    carrier = {key: value for key, value in metadata or () if isinstance(value, str)}
    parent: Context = propagate.extract(carrier)
    span = get_tracer().start_span(
        method.lstrip("/"), parent, kind=SpanKind.SERVER, attributes=_attributes(method)
    )
    otel_context.attach(trace.set_span_in_context(span, parent))
    return CallSpan(span)


@contextmanager
def http_span(method: str, path: str, headers: Mapping[str, str]) -> Iterator[Span]:
    """A span around an HTTP request that arrived, the child of the caller's."""
    with get_tracer().start_as_current_span(
        f"{method} {path}",
        propagate.extract(headers),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method, "url.path": path},
    ) as current:
        yield current


@contextmanager
def span(name: str, **attributes: str | int | float | bool) -> Iterator[Span]:
    """A span around a piece of work inside one function."""
    with get_tracer().start_as_current_span(name, attributes=attributes) as current:
        yield current


def _attributes(method: str) -> dict[str, str]:
    service, _, name = method.lstrip("/").rpartition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
