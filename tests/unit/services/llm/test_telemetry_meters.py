"""The engine's numbers reach OpenTelemetry: gauges as they are, counters as what was added."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from services.llm.telemetry_meters import TelemetryMeters
from uniaudio.engine.engine import EngineStats


class Inner:
    def __init__(self) -> None:
        self.told: list[object] = []

    def observe_queue_seconds(self, seconds: float) -> None:
        self.told.append(seconds)

    def set_stats(self, stats: EngineStats) -> None:
        self.told.append(stats)


def _values(reader: InMemoryMetricReader) -> dict[str, Any]:
    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    points = {metric.name: metric.data.data_points[0] for metric in metrics}
    return {name: getattr(point, "value", getattr(point, "sum", None)) for name, point in points.items()}


def test_counters_add_up_and_gauges_follow() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    inner = Inner()
    meters = TelemetryMeters(inner, provider.get_meter("test"))
    first = EngineStats(num_running=2, num_tokens=5, audio_seconds=0.5)
    second = EngineStats(num_running=1, num_tokens=9, audio_seconds=0.75)
    meters.set_stats(first)
    meters.set_stats(first)
    meters.set_stats(second)
    meters.observe_queue_seconds(0.25)
    values = _values(reader)
    provider.shutdown()
    assert (values["engine.running"], values["engine.tokens"], values["engine.audio.duration"]) == (
        1,
        9,
        0.75,
    )
    assert values["engine.queue.duration"] == 0.25
    assert inner.told == [first, first, second, 0.25], "Triton's own metrics are told as well"
