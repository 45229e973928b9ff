"""How busy the service is: what runs and waits now, and what the last minute was like."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.metrics import Meter

from uniaudio.runtime.telemetry import get_meter

RECENT_SECONDS = 60.0
_MAX_ENTRIES = 4096


@dataclass(frozen=True, kw_only=True)
class Load:
    """`queue_seconds`: mean wait for a place. `real_time_factor`: seconds of work per second of speech made.

    Both are over the last minute, and None where nothing happened in it.
    """

    num_running: int
    num_waiting: int
    max_running: int
    queue_seconds: float | None
    real_time_factor: float | None


class RecentSums:
    """Sums of pairs that came within the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: deque[tuple[float, float, float]] = deque(maxlen=_MAX_ENTRIES)

    def add(self, part: float, whole: float) -> None:
        """One more pair, now."""
        self._entries.append((self._clock(), part, whole))

    def ratio(self) -> float | None:
        """All parts by all wholes; None without any."""
        since = self._clock() - RECENT_SECONDS
        while self._entries and self._entries[0][0] < since:
            self._entries.popleft()
        whole = sum(entry[2] for entry in self._entries)
        return sum(entry[1] for entry in self._entries) / whole if whole else None


class SpeechPace:
    """Seconds of work per second of speech made: of the last minute for callers, as two sums for telemetry."""

    def __init__(self, meter: Meter | None = None) -> None:
        meter = meter or get_meter()
        self._recent = RecentSums()
        self._work = meter.create_counter("uniaudio.speech.work", "s", "Seconds that speaking took.")
        self._made = meter.create_counter("uniaudio.speech.audio", "s", "Seconds of speech made.")

    def add(self, work_seconds: float, audio_seconds: float) -> None:
        """One more speech was made."""
        self._recent.add(work_seconds, audio_seconds)
        self._work.add(work_seconds)
        self._made.add(audio_seconds)

    def real_time_factor(self) -> float | None:
        """Of the last minute; None where nothing was made in it."""
        return self._recent.ratio()
