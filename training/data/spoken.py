"""What the tokenizer's stages ask of speech, synthetic or recorded: lengths, texts, and stretches of sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from training.config import BuildContext
from training.data.corpus import Corpus
from training.data.pipeline import AudioBatch, Stretch
from training.data.utterance import Span


class SpokenCorpus(Protocol):
    """Utterances by index; only `load` reads audio."""

    def __len__(self) -> int: ...

    def text(self, index: int) -> str:
        """What is said; lower case in the synthetic corpus."""

    def num_samples(self, index: int) -> int:
        """Length of the recording at 16 kHz."""

    def phones(self, index: int) -> tuple[Span, ...]:
        """What is pronounced when; perhaps nothing."""

    def load(self, stretches: Sequence[Stretch]) -> AudioBatch:
        """The stretches' sound, in order; for one thread at a time."""


class Corpora(Protocol):
    """Where a run's speech comes from."""

    def open(self, context: BuildContext, split: str) -> SpokenCorpus:
        """A split (`train` or `dev`) of it."""


@dataclass(frozen=True)
class SyntheticCorpora:
    """The synthetic corpus in the run's data folder."""

    def open(self, context: BuildContext, split: str) -> Corpus:
        """The split; InvalidInputError where the folder holds no whole corpus."""
        return Corpus.open(context.data, split)


SYNTHETIC = SyntheticCorpora()
