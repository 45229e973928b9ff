"""A scene whose sentences are spoken for it: any words, in any voice of the synthesisers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from training.data.espeak import Speaker
from training.data.grammar import WORDS
from training.data.triplets.scene import Scene
from training.data.triplets.triplet import Kind, Waveform
from training.data.utterance import Utterance, Voice
from uniaudio.errors import InvalidInputError

Words = tuple[str, ...]
_MAX_DRAWS = 20


class Sentences(Protocol):
    """Anything that gives sentences: lower case, words separated by single spaces."""

    def sentence(self, rng: np.random.Generator) -> str:
        """One sentence."""


@dataclass(frozen=True, kw_only=True)
class SpokenScene(Scene):
    """`others` are the voices of a crowd in the background; without them no crowd is drawn."""

    speaker: Speaker
    sentences: Sentences
    voice: Voice
    others: Sequence[Voice] = ()

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All that the voice can be edited by."""
        return kinds_for(self.voice)

    @property
    def has_crowd(self) -> bool:
        """Whether there are other voices."""
        return bool(self.others)

    def utterance(self) -> Utterance:
        """A sentence in the scene's voice; one that the speaker cannot time is drawn again, up to 20 times."""
        for _ in range(_MAX_DRAWS):
            try:
                return self.speak(tuple(self.sentences.sentence(self.rng).split()))
            except InvalidInputError as error:
                refused = error
        raise refused

    def crowd(self, count: int) -> list[Waveform]:
        """So many sentences, each by one of the others."""
        texts = [tuple(self.sentences.sentence(self.rng).split()) for _ in range(count)]
        return [self.speak(text, self.choose(self.others)).waveform for text in texts]

    def speak(self, words: Words, voice: Voice | None = None) -> Utterance:
        """These words, by the scene's voice unless another is given.

        Raises InvalidInputError where the speaker timed other words than it was given.
        """
        spoken = self.speaker.speak(" ".join(words), voice or self.voice)
        if tuple(word.label for word in spoken.words) != words:
            raise InvalidInputError(f"{spoken.voice.name} gave times for other words than {spoken.text!r}")
        return spoken

    def other_words(self, words: Words) -> Words:
        """As many words that could stand there instead: each of a list it shares, else from another sentence."""
        elsewhere = tuple(self.sentences.sentence(self.rng).split())
        start = int(self.rng.integers(max(1, len(elsewhere) - len(words) + 1)))
        spare = (elsewhere * len(words))[start : start + len(words)]
        return tuple(self._other_word(word, other) for word, other in zip(words, spare, strict=True))

    def _other_word(self, word: str, otherwise: str) -> str:
        lists = [found for found in WORDS.values() if word in found]
        if not lists:
            return otherwise
        mates = [mate for mate in self.choose(lists) if mate != word]
        return self.choose(mates) if mates else otherwise


def can_act(voice: Voice) -> bool:
    """Whether mood and accent proxies can be made: by espeak-ng, which has pitch range and accents."""
    return voice.engine == "espeak-ng"


def kinds_for(voice: Voice) -> tuple[Kind, ...]:
    """The kinds that this voice can be edited by."""
    return tuple(kind for kind in Kind if can_act(voice) or not kind.is_acted)
