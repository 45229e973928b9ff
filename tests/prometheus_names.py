"""Our instruments as Prometheus shows them, by an exporter that follows OpenTelemetry's rules of names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from services.llm.telemetry_meters import TelemetryMeters
from services.orchestrator.load import SpeechPace
from services.tokenizer.batcher import Batcher
from uniaudio.engine.engine import EngineStats
from uniaudio.runtime.telemetry import CallInstruments

METHOD = "/uniaudio.v1.SpeechService/Edit"


class Nowhere:
    """Where Triton's own metrics would go."""

    def observe_queue_seconds(self, seconds: float) -> None: ...

    def set_stats(self, stats: EngineStats) -> None: ...


@cache
def prometheus_samples() -> tuple[Sample, ...]:
    """Every series, after each instrument was used."""
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    _use_all(provider.get_meter("test"))
    families = text_string_to_metric_families(generate_latest(REGISTRY).decode())
    samples = tuple(sample for family in families for sample in family.samples)
    provider.shutdown()
    return samples


def _use_all(meter: Meter) -> None:
    meters = TelemetryMeters(Nowhere(), meter)
    meters.observe_queue_seconds(0.3)
    meters.set_stats(EngineStats(waiting_audio_seconds=2.5, num_patches=9, num_underruns=1))
    SpeechPace(meter).add(1.0, 2.0)
    calls = CallInstruments.create("server", meter)
    labels: dict[str, str | int] = {"rpc.method": METHOD, "rpc.grpc.status_code": 13}
    calls.duration.record(0.3, labels)
    calls.errors.add(1, labels)
    asyncio.run(_step(meter))


async def _step(meter: Meter) -> None:
    batcher: Batcher[int, int] = Batcher(_same, max_sessions=1, max_batch_cost=1, meter=meter)
    batcher.start()
    await batcher.submit(1, 1)
    await batcher.close()


def _same(steps: Sequence[int]) -> Sequence[int]:
    return steps
