"""What waits is asked for at each export; a queue that cannot say is left out, and the others are not."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from uniaudio.errors import UnavailableError
from uniaudio.runtime.queues import tell_queued_audio


def _values(reader: InMemoryMetricReader) -> dict[str, float]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("uniaudio.queued_audio", "s")
    return {str((point.attributes or {})["queue"]): point.value for point in metric.data.data_points}  # type: ignore[union-attr]


def test_each_export_asks_anew() -> None:
    waiting = {"requests": 12.5, "jobs": 700.0}
    is_away = False

    def jobs() -> float:
        if is_away:
            raise UnavailableError(
                "the database is away", value="away", limit="one that answers", remedy="wait"
            )
        return waiting["jobs"]

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    tell_queued_audio({"requests": lambda: waiting["requests"], "jobs": jobs}, provider.get_meter("test"))
    assert _values(reader) == {"requests": 12.5, "jobs": 700.0}
    waiting["requests"], is_away = 0.0, True
    assert _values(reader) == {"requests": 0.0}
    is_away = False
    assert _values(reader) == {"requests": 0.0, "jobs": 700.0}
    provider.shutdown()
