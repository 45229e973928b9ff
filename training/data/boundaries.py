"""Word boundaries of a corpus beside those of a second, independent alignment (evaluation facts 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data.alignment import align_words
from training.data.espeak import Speaker
from training.data.utterance import Utterance, Voice
from uniaudio.errors import UniaudioError

MIN_BOUNDARIES = 500
NEAR_MS, FAR_MS = 20.0, 50.0
SecondAlignment = Callable[[Utterance], tuple[int | None, ...]]
"""Where another measurement hears each word begin, and at last where the last one ends; in samples.

None stands where it cannot tell.
"""


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


@dataclass(frozen=True, kw_only=True)
class Demands:
    """Shares of boundaries: above `near` within 20 ms, at least `far` within 50 ms."""

    near: float
    far: float


EXACT = Demands(near=0.95, far=0.99)
"""Of times that are cut at as they are."""


@dataclass(frozen=True)
class AlignmentQuality:
    """The checked boundaries, and whether they pass; `needed` is how many make a verdict."""

    boundaries: tuple[Boundary, ...]
    needed: int = MIN_BOUNDARIES
    demands: Demands = EXACT

    @property
    def errors_ms(self) -> NDArray[np.float64]:
        """Absolute errors in milliseconds."""
        return np.array([abs(boundary.error_ms) for boundary in self.boundaries])

    def share_within(self, milliseconds: float) -> float:
        """Share of boundaries whose error is at most that; 0 where there are none."""
        return float(np.mean(self.errors_ms <= milliseconds)) if self.boundaries else 0.0

    @property
    def passed(self) -> bool:
        """Enough boundaries, and both demands met."""
        return (
            len(self.boundaries) >= self.needed
            and self.share_within(NEAR_MS) > self.demands.near
            and self.share_within(FAR_MS) >= self.demands.far
        )

    @property
    def summary(self) -> str:
        """One sentence with every number that the gate looks at."""
        return (
            f"{len(self.boundaries)} word boundaries (at least {self.needed} are needed): "
            f"{100 * self.share_within(NEAR_MS):.1f} % within {NEAR_MS:g} ms (limit {100 * self.demands.near:g} %), "
            f"{100 * self.share_within(FAR_MS):.1f} % within {FAR_MS:g} ms (limit {100 * self.demands.far:g} %)"
        )


def template_voice(voice: Voice) -> Voice:
    """Who speaks the second time: another variant of the same accent, or the same voice at another rate.

    Voices that were made from people (flite) differ too much among each other to judge 20 ms. For a recording, of
    whose speaker nothing is known, it is an American voice of espeak-ng.
    """
    if voice.engine == "recording":
        return Voice(name="template", engine="espeak-ng", language="gmw/en-US", variant="f1")
    rate = round(voice.rate * 1.12)
    if voice.engine != "espeak-ng":
        return replace(voice, rate=rate)
    variant = "m3" if voice.variant == "f1" else "f1"
    return replace(voice, name=f"template-{variant}", variant=variant, rate=rate, pitch=50, pitch_range=50)


def inner_boundaries(utterance: Utterance) -> list[int]:
    """Words that begin inside the utterance at a time of their own: neither the first nor fused ones."""
    words = utterance.words
    return [index for index in range(1, len(words)) if words[index].start > words[index - 1].start]


def by_synthesis(speaker: Speaker) -> SecondAlignment:
    """The same words spoken in another voice, their known times carried over by dynamic time warping."""

    def align(utterance: Utterance) -> tuple[int | None, ...]:
        spoken = speaker.speak(utterance.text, template_voice(utterance.voice))
        if len(spoken.words) != len(utterance.words):  # read as other words: "3rd", "naïve"
            return (None,) * (len(utterance.words) + 1)
        aligned = align_words(spoken, utterance.waveform)
        # A word that the template fused with its neighbour has no time to compare.
        timed = {0, *inner_boundaries(spoken)}
        starts = (word.start if index in timed else None for index, word in enumerate(aligned))
        return (*starts, aligned[-1].end)

    return align


def measure(utterance: Utterance, second: SecondAlignment) -> Iterator[Boundary]:
    """Every inner boundary of one utterance beside what the second alignment finds."""
    found = second(utterance)
    for index in inner_boundaries(utterance):
        if (at := found[index]) is not None:
            yield Boundary(
                utterance=utterance,
                word=index,
                claimed=utterance.words[index].start / utterance.sample_rate,
                found=at / utterance.sample_rate,
            )


def measure_sample(
    utterances: Iterable[Utterance],
    second: SecondAlignment,
    needed: int = MIN_BOUNDARIES,
    demands: Demands = EXACT,
) -> AlignmentQuality:
    """Boundaries of utterance after utterance, until enough or no more; give utterances in random order."""
    boundaries: list[Boundary] = []
    for utterance in utterances:
        boundaries += measure(utterance, second)
        if len(boundaries) >= needed:
            break
    return AlignmentQuality(tuple(boundaries), needed, demands)
