"""Shows validation triplets: the verdict, numbers by kind, the alignment, and every triplet to hear and see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data.alignment_gate import add_alignment
from training.data.boundaries import FAR_MS, NEAR_MS, AlignmentQuality, Boundary
from training.data.triplets.checks import Checks
from training.data.triplets.triplet import Kind, Region, Triplet, Waveform
from training.data.utterance import Utterance
from uniaudio.editing.f0 import track_f0
from uniaudio.evaluation import plots
from uniaudio.evaluation.report import AudioEncoding, Report


@dataclass(frozen=True, kw_only=True)
class Validated:
    """One triplet with everything that was found out about it."""

    triplet: Triplet
    checks: Checks
    boundaries: tuple[Boundary, ...]
    understood: bool


@dataclass(frozen=True)
class Validation:
    """The triplets, and the quality of all their word boundaries together."""

    items: tuple[Validated, ...]
    quality: AlignmentQuality

    @property
    def passed(self) -> bool:
        """Every check, every instruction, and the alignment gate."""
        return self.quality.passed and all(item.checks.passed and item.understood for item in self.items)


def triplets_report(validation: Validation) -> Report:
    """The whole report; the first triplet of a kind with spectrograms and every bit, the others as MP3."""
    items = validation.items
    report = Report(
        "Validation triplets",
        f"{len(items)} triplets of every kind, drawn from sentences that are never trained on. Their recordings "
        "were aligned a second time, by synthesis in another voice; their instructions were read by the edit "
        "grammar. Moods and accents are caricatures by synthetic voices, named proxies.",
    )
    failed = [item for item in items if not (item.checks.passed and item.understood)]
    report.verdict(validation.quality.passed, validation.quality.summary)
    report.verdict(
        not failed, f"{len(items) - len(failed)} of {len(items)} pass every check and are understood"
    )
    headers = ["kind", "triplets", "by", "boundaries", "within 20 ms", "within 50 ms", "understood", "target"]
    report.section("By kind").table(headers, _by_kind(items))
    add_alignment(report, validation.quality)
    shown: set[Kind] = set()
    report.section("To hear and see", "Cyan: where words go, come, or vanish.")
    for number, item in enumerate(items, start=1):
        first = item.triplet.kind not in shown
        shown.add(item.triplet.kind)
        _add_triplet(report, number, item.triplet, in_full=first)
    return report


def _by_kind(items: Sequence[Validated]) -> list[list[object]]:
    rows: list[list[object]] = []
    for kind in Kind:
        of_kind = [item for item in items if item.triplet.kind is kind]
        if not of_kind:
            continue
        quality = AlignmentQuality(tuple(boundary for item in of_kind for boundary in item.boundaries))
        methods = sorted({item.triplet.method for item in of_kind})
        shares = [f"{100 * quality.share_within(limit):.1f} %" for limit in (NEAR_MS, FAR_MS)]
        understood = f"{sum(item.understood for item in of_kind)} of {len(of_kind)}"
        exact = _exactness([item.triplet for item in of_kind], kind)
        rows.append(
            [
                kind.value,
                len(of_kind),
                ", ".join(methods),
                len(quality.boundaries),
                *shares,
                understood,
                exact,
            ]
        )
    return rows


def _exactness(triplets: Sequence[Triplet], kind: Kind) -> str | None:
    """How near targets come to what was asked, where that can be measured."""
    if kind is Kind.SPEED:
        errors = [abs(len(t.target.waveform) * _value(t) / len(t.source.waveform) - 1) for t in triplets]
        return f"length off by {100 * np.mean(errors):.2f} %"
    if kind is Kind.VOLUME:
        errors = [
            abs(_level(t.target.waveform) / (_value(t) * _level(t.source.waveform)) - 1) for t in triplets
        ]
        return f"level off by {100 * np.mean(errors):.2f} %"
    if kind is Kind.PITCH:
        cents = [
            abs(1200 * np.log2(_median_f0(t.target) / _median_f0(t.source)) - 100 * _value(t))
            for t in triplets
        ]
        return f"pitch off by {np.median(cents):.0f} cents"
    return None


def _value(triplet: Triplet) -> float:
    assert triplet.edit.value is not None
    return triplet.edit.value


def _level(waveform: Waveform) -> float:
    return float(np.abs(waveform).mean(dtype=np.float64))


def _median_f0(spoken: Utterance) -> float:
    return float(np.nanmedian(track_f0(spoken.waveform)))


def _add_triplet(report: Report, number: int, triplet: Triplet, *, in_full: bool) -> None:
    said = triplet.instruction
    report.section(f"{number}. {triplet.kind.value}: {said.text}", folded=not in_full)
    report.text(
        f"{triplet.source.voice.name}, by {triplet.method}, wording {said.template_id}"
        + (f". Plan: {triplet.reasoning}" if triplet.reasoning else "")
    )
    for side, spoken, region in (
        ("source", triplet.source, triplet.source_region),
        ("target", triplet.target, triplet.target_region),
    ):
        waveform, sample_rate = spoken.waveform, spoken.sample_rate
        encoding: AudioEncoding = "flac" if in_full else "mp3"
        picture = plots.spectrogram(waveform, sample_rate, _seconds(region)) if in_full else None
        report.audio(waveform, sample_rate, f"{side}: {spoken.text}", picture=picture, encoding=encoding)


def _seconds(region: Region | None, sample_rate: int = 16000) -> list[tuple[float, float]]:
    return [] if region is None else [(region[0] / sample_rate, region[1] / sample_rate)]
