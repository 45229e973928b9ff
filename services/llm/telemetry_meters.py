"""The engine's numbers as OpenTelemetry metrics; they go nowhere while telemetry is off."""

from __future__ import annotations

from opentelemetry.metrics import Meter

from services.llm.backend import Meters
from uniaudio.engine.engine import EngineStats
from uniaudio.runtime.queues import tell_queued_audio
from uniaudio.runtime.telemetry import SECONDS_BUCKETS, get_meter

_GAUGES = {
    "num_running": ("engine.running", "{generation}", "Generations stepped together."),
    "num_waiting": ("engine.waiting", "{generation}", "Generations in the queue."),
    "kv_positions": ("engine.kv_positions", "{position}", "LLM positions held by running generations."),
}
_COUNTERS = {
    "num_steps": ("engine.steps", "{step}", "Steps of the engine."),
    "num_tokens": ("engine.tokens", "{token}", "Text tokens made."),
    "num_patches": ("engine.patches", "{patch}", "Patches of speech made."),
    "audio_seconds": ("engine.audio.duration", "s", "Seconds of speech made."),
    "num_finished": ("engine.finished", "{generation}", "Generations that ended well."),
    "num_failed": ("engine.failed", "{generation}", "Generations that failed."),
    "num_cancelled": ("engine.cancelled", "{generation}", "Generations given up by their callers."),
    "num_preempted": (
        "engine.preempted",
        "{generation}",
        "Times that a generation lost its blocks for a while.",
    ),
    "num_underruns": ("engine.underruns", "{patch}", "Patches that came later than a listener needed them."),
}


class TelemetryMeters:
    """Tells OpenTelemetry what it is told, and passes it on to `inner`."""

    def __init__(self, inner: Meters, meter: Meter | None = None) -> None:
        meter = meter or get_meter()
        self._inner = inner
        self._queue = meter.create_histogram(
            "engine.queue.duration",
            "s",
            "Seconds from arrival to first step.",
            explicit_bucket_boundaries_advisory=SECONDS_BUCKETS,
        )
        self._gauges = {key: meter.create_gauge(*texts) for key, texts in _GAUGES.items()}
        self._counters = {key: meter.create_counter(*texts) for key, texts in _COUNTERS.items()}
        self._told: EngineStats | None = None
        tell_queued_audio({"engine": self._queued_audio_seconds}, meter)

    def observe_queue_seconds(self, seconds: float) -> None:
        """A generation began that long after it had come."""
        self._queue.record(seconds)
        self._inner.observe_queue_seconds(seconds)

    def set_stats(self, stats: EngineStats) -> None:
        """The engine's numbers now; nothing is sent while they stay the same."""
        if stats != self._told:
            before = self._told or EngineStats()
            for key, gauge in self._gauges.items():
                gauge.set(getattr(stats, key))
            for key, counter in self._counters.items():
                counter.add(getattr(stats, key) - getattr(before, key))
            self._told = stats
        self._inner.set_stats(stats)

    def _queued_audio_seconds(self) -> float:
        return self._told.waiting_audio_seconds if self._told else 0.0
