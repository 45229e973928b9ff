"""The tables of a measurement: what each door adds, what was aimed at, which rates were tried."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.serving_doors import Door
from benchmarks.serving_load import Answer, Trial, percentile


@dataclass
class Measured:
    """Answers of one door with one number of streams at once, and what services computed meanwhile."""

    door: Door
    num_streams: int
    answers: list[Answer] = field(default_factory=list)
    processor_seconds: dict[str, float] = field(default_factory=dict)

    def whole(self) -> float:
        """Seconds of an answer, median."""
        return statistics.median(answer.total_seconds for answer in self.answers)

    def first_audio(self, share: float = 0.5) -> float:
        """Seconds until first audio."""
        return percentile((answer.first_audio_seconds for answer in self.answers), share)

    def audio_seconds(self) -> float:
        """Of all answers."""
        return sum(answer.audio_seconds for answer in self.answers)

    def speed(self) -> float:
        """Seconds of speech a second, of all streams together: median over answers."""
        rates = (answer.audio_seconds / answer.total_seconds for answer in self.answers)
        return self.num_streams * statistics.median(rates)


def engine_seconds(measured: Sequence[Measured]) -> float:
    """The engine's own time for an answer, which the first door's answers tell; median."""
    return statistics.median(answer.engine_seconds or 0.0 for answer in measured[0].answers)


def mean_audio_seconds(measured: Sequence[Measured]) -> float:
    """Of one answer."""
    return measured[0].audio_seconds() / len(measured[0].answers)


def door_lines(measured: Sequence[Measured], decoder_seconds: float | None = None) -> Iterator[str]:
    """The table of what each door adds: to the engine alone, and to the model, its decoder included."""
    columns = (
        "first audio p50 / p99 ms | whole p50 ms | × real time | added to the engine | added to the model"
    )
    yield f"| door | streams | {columns} | gateway's share of a core a stream | orchestrator's |"
    yield "|---|---|---|---|---|---|---|---|---|"
    engine, count = engine_seconds(measured), measured[0].num_streams
    model = None if decoder_seconds is None else engine + decoder_seconds
    amount = count * mean_audio_seconds(measured)
    yield f"| engine | {count} | | {1000 * engine:.1f} | {amount / engine:.1f} | | | | |"
    if model is not None:
        yield f"| engine and decoder | {count} | | {1000 * model:.1f} | {amount / model:.1f} | | | | |"
    for each in measured:
        shares = " | ".join(_share(each, name) for name in ("gateway", "orchestrator"))
        # The first door, Triton's, gives latents, which are not decoded yet.
        to_model = "" if model is None or each is measured[0] else f"**{_added(each, model)}**"
        yield (
            f"| {each.door.name} | {count} | {_milliseconds(each.first_audio())} / "
            f"{_milliseconds(each.first_audio(0.99))} | {_milliseconds(each.whole())} | {each.speed():.1f} "
            f"| **{_added(each, engine)}** | {to_model} | {shares} |"
        )


def _added(measured: Measured, seconds: float) -> str:
    return f"{100 * (measured.whole() / seconds - 1):+.0f} %"


def _share(measured: Measured, service: str) -> str:
    """What a service computes for a stream that plays, of one core."""
    used = measured.processor_seconds.get(service)
    return "–" if used is None else f"{100 * used / measured.audio_seconds():.1f} %"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def aim_lines(
    alone: Sequence[Measured], many: Sequence[Measured], decoder_seconds: float | None = None
) -> Iterator[str]:
    """What was aimed at, and what was measured."""
    _, grpc, known, http = alone
    engine = engine_seconds(alone)
    gaps = [
        1000 * (over_http.first_audio_seconds - over_grpc.first_audio_seconds)
        for over_http, over_grpc in zip(http.answers, grpc.answers, strict=True)
    ]
    yield "| aim | measured |"
    yield "|---|---|"
    yield f"| services add < 10 % to the engine's own time | {_added(grpc, engine)} |"
    if decoder_seconds is not None:
        yield f"| the same, of the model's own, decoder included | {_added(grpc, engine + decoder_seconds)} |"
    yield f"| one stream ≥ 6 × real time | {grpc.speed():.1f} × |"
    yield f"| first audio ≤ 200 ms | {_milliseconds(grpc.first_audio())} ms |"
    yield f"| first audio in a known voice ≤ 100 ms | {_milliseconds(known.first_audio())} ms |"
    yield f"| HTTP adds < 5 ms to the first audio | {statistics.median(gaps):+.1f} ms |"
    yield f"| gateway < 5 % of a core per stream at {many[-1].num_streams} | {_share(many[-1], 'gateway')} |"


def trial_lines(trials: Sequence[Trial], highest: float) -> Iterator[str]:
    """The table of rates that were tried, and what came of it."""
    yield "| callers / s | callers | first audio p50 / p99 ms | under-runs | refused | speech s / s | holds |"
    yield "|---|---|---|---|---|---|---|"
    for trial in sorted(trials, key=lambda trial: trial.rate):
        yield (
            f"| {trial.rate:.2f} | {len(trial.answers)} | {_milliseconds(trial.first_audio(0.5))} / "
            f"{_milliseconds(trial.first_audio(0.99))} | {trial.num_underruns} | {trial.num_failed} "
            f"| {trial.audio_rate:.1f} | {'yes' if trial.holds else 'no'} |"
        )
    yield ""
    told = f"**{highest:.2f} a second**" if highest else "none of those"
    yield f"Highest rate with first audio within 500 ms (p99), no under-run and nobody refused: {told}."
