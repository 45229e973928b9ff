"""What triplets are drawn from: synthetic speakers here, recordings in `recorded`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from training.data.boundaries import EXACT, Demands, SecondAlignment, by_synthesis
from training.data.corpus import Speakers
from training.data.espeak import Speaker
from training.data.triplets.scene import Scene
from training.data.triplets.splits import Split, splits
from training.data.triplets.spoken_scene import SpokenScene, can_act, kinds_for
from training.data.triplets.triplet import Kind
from training.data.utterance import Utterance
from training.data.voices import as_spoken, draw_voice

OpenSpeaker = Callable[[], AbstractContextManager[Speaker]]


class Source(Protocol):
    """A source that is open in one process."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """The kinds of edits that can be drawn, which take turns."""

    @property
    def second(self) -> SecondAlignment:
        """The measurement that word times are compared with."""

    @property
    def demands(self) -> Demands:
        """How well the two must agree before anything is built."""

    def scene(self, split: str, kind: Kind, rng: np.random.Generator) -> Scene:
        """Something to draw a triplet of that kind from; a pure function of its arguments."""

    def recordings(self, rng: np.random.Generator) -> Iterator[Utterance]:
        """What is trained on, in random order: whose word times are checked."""


class ClosedSource(Protocol):
    """A source as configured; it can be sent to other processes."""

    @property
    def split_names(self) -> Sequence[str]:
        """The splits that it has; `train` is among them."""

    def about(self) -> Mapping[str, Any]:
        """What tells its triplets from those of another source, besides their number."""

    def open(self, languages: Sequence[str]) -> AbstractContextManager[Source]:
        """Opens it for one process, with instructions in these languages."""


@dataclass(frozen=True)
class OpenSynthetic:
    """Grammars and voices by split, and who speaks; what is trained on may be by `drawn_voices` further voices, too."""

    speaker: Speaker
    splits: Mapping[str, Split] = field(default_factory=splits)
    drawn_voices: int = 0
    kinds: Sequence[Kind] = tuple(Kind)
    demands: Demands = EXACT

    @property
    def second(self) -> SecondAlignment:
        """Synthesis in another voice."""
        return by_synthesis(self.speaker)

    def scene(self, split: str, kind: Kind, rng: np.random.Generator) -> SpokenScene:
        """One of the split's voices that the kind can be made with."""
        drawn_from = self.splits[split]
        voices = [voice for voice in drawn_from.voices if kind in kinds_for(voice)]
        num_drawn = self.drawn_voices if split == "train" else 0
        return SpokenScene(
            speaker=self.speaker,
            sentences=drawn_from.sentences,
            voice=as_spoken(draw_voice(voices, num_drawn, rng), rng),
            rng=rng,
            wordings=drawn_from.wordings,
            others=[other for other in drawn_from.voices if can_act(other)],
        )

    def recordings(self, rng: np.random.Generator) -> Iterator[Utterance]:
        """A thousand sentences by any voice that is trained on."""
        for _ in range(1000):
            yield self.scene("train", Kind.NONE, rng).utterance()


@dataclass(frozen=True)
class Synthetic:
    """Synthetic speakers: exact word times, every kind of edit; `drawn_voices` as a corpus has them."""

    open_speaker: OpenSpeaker = Speakers
    drawn_voices: int = 0

    @property
    def split_names(self) -> Sequence[str]:
        """The six of `splits`."""
        return tuple(splits())

    def about(self) -> Mapping[str, Any]:
        """How many voices are drawn; named ones and grammars belong to the generator's version."""
        return {"drawn_voices": self.drawn_voices} if self.drawn_voices else {}

    @contextmanager
    def open(self, languages: Sequence[str]) -> Iterator[OpenSynthetic]:
        """Starts the speakers."""
        with self.open_speaker() as speaker:
            yield OpenSynthetic(speaker, splits(languages), drawn_voices=self.drawn_voices)
