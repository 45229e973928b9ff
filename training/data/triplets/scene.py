"""Everything one triplet is drawn from: recordings of one voice, how edits are worded, and the dice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from training.data.triplets.instructions import wordings
from training.data.triplets.triplet import Kind, Waveform
from training.data.triplets.wordings import Wording
from training.data.utterance import Utterance
from uniaudio.errors import InvalidInputError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Scene(ABC):
    """`wordings` are those to choose from, by default the English ones of training."""

    rng: np.random.Generator
    wordings: Sequence[Wording] = field(default_factory=wordings)

    @property
    @abstractmethod
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of edits that can be drawn here."""

    @property
    @abstractmethod
    def has_crowd(self) -> bool:
        """Whether enough others are there to speak in the background."""

    @abstractmethod
    def utterance(self) -> Utterance:
        """A sentence in the scene's voice."""

    @abstractmethod
    def crowd(self, count: int) -> list[Waveform]:
        """So many recordings of others; only where `has_crowd`."""

    def cuttable(self) -> Utterance:
        """A sentence in the scene's voice; a cut between words that do not share their times hits no word."""
        return self.utterance()

    def another(self, whole: Utterance) -> Utterance:
        """A sentence whose words can stand in `whole`; that one itself where there is no other."""
        return self.cuttable()

    def choose(self, choices: Sequence[T]) -> T:
        """One of them; InvalidInputError where there are none."""
        if not choices:
            raise InvalidInputError("nothing here can be edited as drawn; draw another sentence")
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        """True that often."""
        return bool(self.rng.random() < probability)
