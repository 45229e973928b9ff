"""Stops a corpus build whose word times are not to be trusted (evaluation facts 4.4).

Edits are cut at word boundaries: where those are wrong, the triplets teach wrong edits. So a sample of
boundaries is found a second time, by another measurement, and must agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from training.data.boundaries import (
    EXACT,
    FAR_MS,
    MIN_BOUNDARIES,
    NEAR_MS,
    AlignmentGateError,
    AlignmentQuality,
    Demands,
    SecondAlignment,
    measure_sample,
)
from training.data.utterance import Utterance
from uniaudio.evaluation import plots
from uniaudio.evaluation.report import Report

_NUM_WORST = 5


def check_alignment(
    utterances: Iterable[Utterance],
    second: SecondAlignment,
    report: Path,
    needed: int = MIN_BOUNDARIES,
    demands: Demands = EXACT,
) -> AlignmentQuality:
    """The quality of a corpus's word times; its report is written whatever comes out.

    Raises AlignmentGateError, naming the shares, the limits and the report, where the gate is not passed.
    """
    quality = measure_sample(utterances, second, needed, demands)
    alignment_report(quality).write(report)
    if not quality.passed:
        raise AlignmentGateError(
            f"the word times of this corpus are not exact enough to cut at: {quality.summary}. See {report}, "
            "and repair the times before building on them",
            value=quality.summary,
            report=report,
        )
    return quality


def alignment_report(quality: AlignmentQuality) -> Report:
    """The errors as a plot, by voice, and the worst of them to hear and see."""
    report = Report(
        "Alignment gate",
        "Every boundary was found a second time: by synthesis (the same words spoken in another voice, and the known "
        "times carried over by dynamic time warping), or for recordings by another aligner where one was given.",
    )
    report.verdict(quality.passed, quality.summary)
    return add_alignment(report, quality)


def add_alignment(report: Report, quality: AlignmentQuality) -> Report:
    """The plot, the table and the worst boundaries, for a report that holds more."""
    if not quality.boundaries:
        return report
    report.section("Errors").figure(_plot(quality), "How far the two alignments lie apart.")
    report.table(["voice", "boundaries", "mean ms", "within 20 ms", "within 50 ms"], _by_voice(quality))
    report.section("The worst boundaries", "Cyan: from where the corpus has it to where it was found.")
    for boundary in sorted(quality.boundaries, key=lambda boundary: -abs(boundary.error_ms))[:_NUM_WORST]:
        spoken = boundary.utterance
        region = (min(boundary.claimed, boundary.found), max(boundary.claimed, boundary.found))
        told = (
            f"{boundary.error_ms:+.0f} ms before {spoken.words[boundary.word].label!r}, {spoken.voice.name}"
        )
        picture = plots.spectrogram(spoken.waveform, spoken.sample_rate, [region])
        report.audio(spoken.waveform, spoken.sample_rate, f"{told}: {spoken.text}", picture=picture)
    return report


def _by_voice(quality: AlignmentQuality) -> list[list[object]]:
    names = sorted({boundary.utterance.voice.name for boundary in quality.boundaries})
    rows: list[list[object]] = []
    for name in names:
        of_voice = AlignmentQuality(
            tuple(boundary for boundary in quality.boundaries if boundary.utterance.voice.name == name)
        )
        shares = [f"{100 * of_voice.share_within(limit):.1f} %" for limit in (NEAR_MS, FAR_MS)]
        rows.append([name, len(of_voice.boundaries), float(of_voice.errors_ms.mean()), *shares])
    return rows


def _plot(quality: AlignmentQuality) -> bytes:
    errors = np.array([boundary.error_ms for boundary in quality.boundaries])
    figure, plot = plots.axes()
    edge = max(60.0, float(np.abs(errors).max()))
    plot.hist(errors, bins=np.arange(-edge - 2.5, edge + 5, 5).tolist(), color="tab:blue")
    for limit, style in ((NEAR_MS, "--"), (FAR_MS, ":")):
        for sign in (-1, 1):
            plot.axvline(sign * limit, color="black", linestyle=style, linewidth=1)
    plot.set_yscale("symlog", linthresh=10)
    plot.set_xlabel("found minus claimed, ms (dashed: 20 ms, dotted: 50 ms)")
    plot.set_ylabel("boundaries")
    return plots.render(figure)
