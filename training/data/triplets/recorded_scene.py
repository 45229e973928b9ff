"""A scene of recordings: whatever needs no synthesiser, the untouched recording being the target.

Words that go, come or change are cut out of a recording, or taken from others of the same speaker, on the source's
side alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.data.augment.mix import active_power
from training.data.boundaries import SecondAlignment
from training.data.manifest import Manifest
from training.data.pipeline import load_utterance
from training.data.triplets.agreement import cuttable_where_agreed
from training.data.triplets.recorded_rows import UsableRows, labels_of
from training.data.triplets.scene import Scene
from training.data.triplets.triplet import Kind, Waveform
from training.data.utterance import Span, Utterance

KINDS = tuple(kind for kind in Kind if not kind.is_acted)
_MIN_CROWD = 6


@dataclass(frozen=True, kw_only=True)
class RecordedSpeech:
    """The usable rows of a split, and a second measurement of their word times."""

    manifest: Manifest
    usable: UsableRows
    second: SecondAlignment

    def load(self, place: int) -> Utterance:
        """A row's recording, its words as edits name them, with the times that the manifest has."""
        row = self.manifest[place]
        spoken, labels = load_utterance(row), labels_of(row)
        assert labels is not None, f"{row.id} is not usable"
        size = spoken.waveform.size
        words = tuple(
            Span(label, min(word.start, size), min(word.end, size))
            for label, word in zip(labels, spoken.words, strict=True)
        )
        return replace(spoken, text=" ".join(labels), words=words)

    def load_cuttable(self, place: int) -> Utterance:
        """The same, to be cut only where both measurements agree."""
        return cuttable_where_agreed(self.load(place), self.second)


@dataclass(frozen=True, kw_only=True)
class RecordedScene(Scene):
    """Recordings of one speaker; others speak in the background where there are six."""

    speech: RecordedSpeech
    speaker: str

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All but those that a synthesiser must act."""
        return KINDS

    @property
    def has_crowd(self) -> bool:
        """Whether there are six other speakers."""
        return len(self.speech.usable.by_speaker) > _MIN_CROWD

    def utterance(self) -> Utterance:
        """One of the speaker's recordings."""
        return self.speech.load(self.choose(self._places))

    def cuttable(self) -> Utterance:
        """One of the speaker's recordings, to be cut where both measurements agree."""
        return self.speech.load_cuttable(self.choose(self._places))

    def another(self, whole: Utterance) -> Utterance:
        """Another of the speaker's recordings, as loud as `whole`; that one itself where it is drawn again."""
        other = self.cuttable()
        if other.recording == whole.recording:
            return whole
        power = active_power(other.waveform)
        gain = np.sqrt(active_power(whole.waveform) / power) if power > 0 else 1.0
        return replace(other, waveform=np.asarray(other.waveform * gain, np.float32))

    def crowd(self, count: int) -> list[Waveform]:
        """Recordings of other speakers."""
        others = [speaker for speaker in self.speech.usable.by_speaker if speaker != self.speaker]
        chosen = [self.choose(self.speech.usable.by_speaker[self.choose(others)]) for _ in range(count)]
        return [self.speech.load(place).waveform for place in chosen]

    @property
    def _places(self) -> Sequence[int]:
        return self.speech.usable.by_speaker[self.speaker]
