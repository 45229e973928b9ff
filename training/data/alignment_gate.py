"""Stops a corpus build whose word times are not to be trusted (evaluation facts 4.4).

Edits are cut at word boundaries: where those are wrong, the triplets teach wrong edits. So a sample of
boundaries is found a second time, by synthesis in another voice, and must agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import plots
from training.data.alignment import align_words
from training.data.espeak import Speaker
from training.data.utterance import Utterance, Voice
from training.report import Report
from uniaudio.errors import UniaudioError

MIN_BOUNDARIES = 500
NEAR_MS, FAR_MS = 20.0, 50.0
NEAR_SHARE, FAR_SHARE = 0.95, 0.99
_NUM_WORST = 5


class AlignmentGateError(UniaudioError):
    """Word times of a corpus disagree with an independent alignment more than is allowed."""

    reason = "ALIGNMENT_GATE"


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """Where a word begins, by the corpus and by the second alignment; seconds."""

    utterance: Utterance
    word: int
    claimed: float
    found: float

    @property
    def error_ms(self) -> float:
        """Found later than claimed is positive."""
        return 1000 * (self.found - self.claimed)


@dataclass(frozen=True)
class AlignmentQuality:
    """The checked boundaries, and whether they pass; `needed` is how many make a verdict."""

    boundaries: tuple[Boundary, ...]
    needed: int = MIN_BOUNDARIES

    @property
    def errors_ms(self) -> NDArray[np.float64]:
        """Absolute errors in milliseconds."""
        return np.array([abs(boundary.error_ms) for boundary in self.boundaries])

    def share_within(self, milliseconds: float) -> float:
        """Share of boundaries whose error is at most that; 0 where there are none."""
        return float(np.mean(self.errors_ms <= milliseconds)) if self.boundaries else 0.0

    @property
    def passed(self) -> bool:
        """At least 95 % within 20 ms and 99 % within 50 ms, on at least 500 boundaries."""
        return (
            len(self.boundaries) >= self.needed
            and self.share_within(NEAR_MS) >= NEAR_SHARE
            and self.share_within(FAR_MS) >= FAR_SHARE
        )

    @property
    def summary(self) -> str:
        """One sentence with every number that the gate looks at."""
        return (
            f"{len(self.boundaries)} word boundaries (at least {self.needed} are needed): "
            f"{100 * self.share_within(NEAR_MS):.1f} % within {NEAR_MS:g} ms (limit {100 * NEAR_SHARE:g} %), "
            f"{100 * self.share_within(FAR_MS):.1f} % within {FAR_MS:g} ms (limit {100 * FAR_SHARE:g} %)"
        )


def template_voice(voice: Voice) -> Voice:
    """Who speaks the second time: another variant of the same accent, or the same voice at another rate.

    Voices that were made from people (flite) differ too much among each other to judge 20 ms.
    """
    rate = round(voice.rate * 1.12)
    if voice.engine != "espeak-ng":
        return replace(voice, rate=rate)
    variant = "m3" if voice.variant == "f1" else "f1"
    return replace(voice, name=f"template-{variant}", variant=variant, rate=rate, pitch=50, pitch_range=50)


def inner_boundaries(utterance: Utterance) -> list[int]:
    """Words that begin inside the utterance at a time of their own: neither the first nor fused ones."""
    words = utterance.words
    return [index for index in range(1, len(words)) if words[index].start > words[index - 1].start]


def measure(utterance: Utterance, speaker: Speaker) -> Iterator[Boundary]:
    """Every inner boundary of one utterance beside what the second alignment finds."""
    spoken = speaker.speak(utterance.text, template_voice(utterance.voice))
    aligned = align_words(spoken, utterance.waveform)
    # A word that the template fused with its neighbour has no time to compare.
    timed = set(inner_boundaries(spoken))
    for index in inner_boundaries(utterance):
        if index in timed:
            yield Boundary(
                utterance=utterance,
                word=index,
                claimed=utterance.words[index].start / utterance.sample_rate,
                found=aligned[index].start / utterance.sample_rate,
            )


def measure_sample(
    utterances: Iterable[Utterance], speaker: Speaker, needed: int = MIN_BOUNDARIES
) -> AlignmentQuality:
    """Boundaries of utterance after utterance, until enough or no more; give utterances in random order."""
    boundaries: list[Boundary] = []
    for utterance in utterances:
        boundaries += measure(utterance, speaker)
        if len(boundaries) >= needed:
            break
    return AlignmentQuality(tuple(boundaries), needed)


def check_alignment(
    utterances: Iterable[Utterance], speaker: Speaker, report: Path, needed: int = MIN_BOUNDARIES
) -> AlignmentQuality:
    """The quality of a corpus's word times; its report is written whatever comes out.

    Raises AlignmentGateError, naming the shares, the limits and the report, where the gate is not passed.
    """
    quality = measure_sample(utterances, speaker, needed)
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
        "Every boundary was found a second time: the same words were spoken in another voice, and the known "
        "times were carried over by dynamic time warping.",
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
        report.figure(plots.spectrogram(spoken.waveform, spoken.sample_rate, [region]), told)
        report.audio(spoken.waveform, spoken.sample_rate, spoken.text)
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
