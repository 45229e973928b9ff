"""Recordings whose word times are known from two measurements, made safe to cut where the two agree.

No aligner's times of human speech are exact enough to cut at wherever they point (docs/training.md has figures). So a
recording is cut only where two measurements agree to 20 ms; words between such places stay together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from training.data.boundaries import NEAR_MS, SecondAlignment
from training.data.manifest import Manifest, Row
from training.data.triplets.splice import boundary
from training.data.utterance import Span, Utterance

_REMEMBERED = 64


def by_manifest(path: Path, labels_of: Callable[[Row], tuple[str, ...] | None]) -> SecondAlignment:
    """What another aligner heard: rows with the same ids and the same words, by `labels_of`."""
    manifest = Manifest(path)
    places = {row.id: place for place, row in enumerate(manifest)}

    def align(utterance: Utterance) -> tuple[int | None, ...]:
        row = manifest[places[utterance.recording]] if utterance.recording in places else None
        if row is None or labels_of(row) != tuple(word.label for word in utterance.words):
            return (None,) * (len(utterance.words) + 1)
        seconds = (*(start for _, start, _ in row.words), row.words[-1][2])
        return tuple(round(at * utterance.sample_rate) for at in seconds)

    return align


def remembered(second: SecondAlignment) -> SecondAlignment:
    """The same, which answers for the last few recordings without measuring them again."""
    known: dict[str, tuple[int | None, ...]] = {}

    def align(utterance: Utterance) -> tuple[int | None, ...]:
        if utterance.recording not in known:
            if len(known) >= _REMEMBERED:
                del known[next(iter(known))]
            known[utterance.recording] = second(utterance)
        return known[utterance.recording]

    return align


def cuttable_where_agreed(utterance: Utterance, second: SecondAlignment) -> Utterance:
    """The recording, its words in groups that share their times, cut off from each other where both agree.

    Where the two do not agree when speech begins or ends, it does so where the recording does.
    """
    num_words, margin = len(utterance.words), NEAR_MS * utterance.sample_rate / 1000
    agreed = [
        found is not None and abs(found - boundary(utterance, at)) <= margin
        for at, found in enumerate(second(utterance))
    ]
    firsts = [at for at in range(num_words) if at == 0 or agreed[at]]
    words: list[Span] = []
    for first, after in zip(firsts, [*firsts[1:], num_words], strict=True):
        start = utterance.words[first].start if agreed[first] else 0
        ends_known = after < num_words or agreed[num_words]
        end = utterance.words[after - 1].end if ends_known else utterance.waveform.size
        words += [Span(word.label, start, end) for word in utterance.words[first:after]]
    return replace(utterance, words=tuple(words))
