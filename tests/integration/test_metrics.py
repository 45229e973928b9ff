"""The numbers that autoscaling and alerts go by: sent by a process of ours, and named as Prometheus will name them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from tests.chart.render import CHART
from tests.otlp_receiver import OtlpReceiver
from tests.prometheus_names import prometheus_samples

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
def test_prometheus_knows_it_by_this_name(series: tuple[str, str, float]) -> None:
    samples = prometheus_samples()
    assert series in {(one.name, one.labels.get(_telling(one.labels), ""), one.value) for one in samples}


def test_the_chart_scales_by_that_name() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for component in ("llm", "worker"):
        assert values[component]["autoscaling"]["metric"] == "uniaudio_queued_audio_seconds"
