"""A small real receiver of OpenTelemetry's protocol: gRPC for us, HTTP with JSON for Triton."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc


@dataclass(frozen=True)
class ReceivedSpan:
    """What a test needs of a span; ids are hex, the parent of a root is empty."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_nanoseconds: int
    end_nanoseconds: int
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReceivedNumber:
    """The last value of a gauge or a sum that a process sent, by name and attributes."""

    service: str
    instance: str
    name: str
    unit: str
    value: float
    attributes: dict[str, str]


class OtlpReceiver(trace_grpc.TraceServiceServicer):
    """Collects spans and numbers until it is closed."""

    def __init__(self) -> None:
        self._spans: list[ReceivedSpan] = []
        self._numbers: dict[object, ReceivedNumber] = {}
        self._senders: set[str] = set()
        self._lock = threading.Condition()
        self._grpc = grpc.server(ThreadPoolExecutor(4))
        trace_grpc.add_TraceServiceServicer_to_server(self, self._grpc)
        metrics_grpc.add_MetricsServiceServicer_to_server(_Metrics(self._add_numbers), self._grpc)
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._add_spans))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What makes our processes send here, soon rather than in large batches."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.grpc_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "UNIAUDIO_LLM_TRITON_TRACE_URL": f"http://127.0.0.1:{self._http.server_port}/v1/traces",
        }

    def Export(self, request: trace_pb2.ExportTraceServiceRequest, context: object) -> Any:
        """Takes spans over gRPC."""
        self._add_spans(
            ReceivedSpan(
                service=_service(resource.resource.attributes),
                name=span.name,
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                start_nanoseconds=span.start_time_unix_nano,
                end_nanoseconds=span.end_time_unix_nano,
                attributes=_texts(span.attributes),
            )
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        )
        return trace_pb2.ExportTraceServiceResponse()

    def wait_for(self, done: Callable[[list[ReceivedSpan]], bool], *, seconds: float) -> list[ReceivedSpan]:
        """All spans so far, once `done` says that they are enough, or when the time is over."""
        deadline = time.monotonic() + seconds
        with self._lock:
            while not done(self._spans) and (left := deadline - time.monotonic()) > 0:
                self._lock.wait(left)
            return list(self._spans)

    def wait_for_metrics_of(self, service: str, *, seconds: float) -> bool:
        """Whether a service whose name contains `service` sent any metric before the time was over."""
        with self._lock:
            return self._lock.wait_for(
                lambda: any(service in sender for sender in self._senders), timeout=seconds
            )

    def wait_for_number(self, service: str, name: str, *, seconds: float) -> ReceivedNumber | None:
        """The last number of that name from a service of that name; None where none came in time."""

        def found() -> ReceivedNumber | None:
            numbers = self._numbers.values()
            return next((one for one in numbers if (one.service, one.name) == (service, name)), None)

        with self._lock:
            self._lock.wait_for(found, timeout=seconds)
            return found()

    def close(self) -> None:
        """Stops both servers."""
        self._grpc.stop(1).wait(5)
        self._http.shutdown()
        self._http.server_close()

    def _add_spans(self, spans: Iterable[ReceivedSpan]) -> None:
        with self._lock:
            self._spans.extend(spans)
            self._lock.notify_all()

    def _add_numbers(self, sender: str, numbers: Iterable[ReceivedNumber]) -> None:
        with self._lock:
            self._senders.add(sender)
            for one in numbers:
                key = (one.service, one.instance, one.name, *sorted(one.attributes.items()))
                self._numbers[key] = one
            self._lock.notify_all()


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, add: Callable[[str, Iterable[ReceivedNumber]], None]) -> None:
        self._add = add

    def Export(self, request: metrics_pb2.ExportMetricsServiceRequest, context: object) -> Any:
        for resource in request.resource_metrics:
            self._add(_service(resource.resource.attributes), list(_numbers(resource)))
        return metrics_pb2.ExportMetricsServiceResponse()


def _numbers(resource: Any) -> Iterable[ReceivedNumber]:
    sender = _texts(resource.resource.attributes)
    for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
        for point in (*metric.gauge.data_points, *metric.sum.data_points):
            yield ReceivedNumber(
                service=sender.get("service.name", ""),
                instance=sender.get("service.instance.id", ""),
                name=metric.name,
                unit=metric.unit,
                value=point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int),
                attributes=_texts(point.attributes),
            )


def _texts(attributes: Iterable[Any]) -> dict[str, str]:
    return {item.key: item.value.string_value for item in attributes}


def _service(attributes: Iterable[Any]) -> str:
    return _texts(attributes).get("service.name", "")


def _handler(add: Callable[[Iterable[ReceivedSpan]], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            add(list(_json_spans(body)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    return Handler


def _json_spans(body: dict[str, Any]) -> Iterable[ReceivedSpan]:
    """Spans as OTLP's JSON has them: ids in hex, times as text."""
    for resource in body.get("resourceSpans", []):
        attributes = resource.get("resource", {}).get("attributes", [])
        names = [item["value"].get("stringValue", "") for item in attributes if item["key"] == "service.name"]
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                yield ReceivedSpan(
                    service=names[0] if names else "",
                    name=span["name"],
                    trace_id=span["traceId"].lower(),
                    span_id=span["spanId"].lower(),
                    parent_id=span.get("parentSpanId", "").lower(),
                    start_nanoseconds=int(span.get("startTimeUnixNano", 0)),
                    end_nanoseconds=int(span.get("endTimeUnixNano", 0)),
                )
