"""The numbers that autoscaling and alerts go by: sent by a process of ours, and named as Prometheus will name them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.llm.telemetry_meters import TelemetryMeters
from services.orchestrator.load import SpeechPace
from tests.chart.render import CHART
from tests.otlp_receiver import OtlpReceiver
from uniaudio.engine.engine import EngineStats
from uniaudio.runtime.telemetry import CallInstruments

METHOD = "/uniaudio.v1.SpeechService/Edit"
PROCESS = """
from services.llm.telemetry_meters import TelemetryMeters
from uniaudio.engine.engine import EngineStats
from uniaudio.runtime.telemetry import setup_telemetry

class Nowhere:
    def observe_queue_seconds(self, seconds): pass
    def set_stats(self, stats): pass

stop = setup_telemetry("llm")
TelemetryMeters(Nowhere()).set_stats(EngineStats(num_waiting=3, waiting_audio_seconds=12.5, num_underruns=2))
stop()
"""


class _Nowhere:
    def observe_queue_seconds(self, seconds: float) -> None: ...

    def set_stats(self, stats: EngineStats) -> None: ...


def test_what_waits_arrives_at_a_collector(otlp_receiver: OtlpReceiver) -> None:
    environ = {**otlp_receiver.environment, "OTEL_SERVICE_NAME": "llm-of-this-test"}
    subprocess.run([sys.executable, "-c", PROCESS], env=environ, check=True, timeout=120)
    waiting, underruns = (
        otlp_receiver.wait_for_number("llm-of-this-test", name, seconds=5)
        for name in ("uniaudio.queued_audio", "engine.underruns")
    )
    assert waiting is not None
    assert (waiting.value, waiting.unit, waiting.attributes) == (12.5, "s", {"queue": "engine"})
    assert waiting.instance, "processes of one service could not be told apart"
    assert underruns is not None
    assert underruns.value == 2


def _use_all(meter: Meter) -> None:
    meters = TelemetryMeters(_Nowhere(), meter)
    meters.set_stats(EngineStats(waiting_audio_seconds=2.5, num_patches=9, num_underruns=1))
    SpeechPace(meter).add(1.0, 2.0)
    calls = CallInstruments.create("server", meter)
    labels: dict[str, str | int] = {"rpc.method": METHOD, "rpc.grpc.status_code": 13}
    calls.duration.record(0.3, labels)
    calls.errors.add(1, labels)


@pytest.fixture(scope="module")
def exposed() -> set[tuple[str, str, float]]:
    """Name, telling label and value of everything, from an exporter that follows OpenTelemetry's rules of names."""
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    _use_all(provider.get_meter("test"))
    families = text_string_to_metric_families(generate_latest(REGISTRY).decode())
    samples = [sample for family in families for sample in family.samples]
    provider.shutdown()
    return {(one.name, one.labels.get(_telling(one.labels), ""), one.value) for one in samples}


def _telling(labels: dict[str, str]) -> str:
    return next((name for name in ("le", "queue", "rpc_grpc_status_code") if name in labels), "")


@pytest.mark.parametrize(
    "series",
    [
        ("uniaudio_queued_audio_seconds", "engine", 2.5),
        ("engine_patches_total", "", 9),
        ("engine_underruns_total", "", 1),
        ("uniaudio_speech_work_seconds_total", "", 1),
        ("uniaudio_speech_audio_seconds_total", "", 2),
        ("rpc_server_errors_total", "13", 1),
        ("rpc_server_duration_seconds_count", "13", 1),
        ("rpc_server_duration_seconds_bucket", "0.2", 0),
        ("rpc_server_duration_seconds_bucket", "0.5", 1),
    ],
    ids=str,
)
def test_prometheus_knows_it_by_this_name(
    exposed: set[tuple[str, str, float]], series: tuple[str, str, float]
) -> None:
    assert series in exposed


def test_the_chart_scales_by_that_name() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for component in ("llm", "worker"):
        assert values[component]["autoscaling"]["metric"] == "uniaudio_queued_audio_seconds"
