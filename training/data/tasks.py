"""What the language model practises: understanding and speech, planned sequence by sequence.

Sequence `number` of a task is a pure function of the task's seed and the number: a corpus is gone through
in a new order in every epoch, and everything else about a sequence is drawn from its own generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.latent_folder import StoredPosterior
from training.data.latents import LatentCorpus
from training.data.sequences import TrainingSequence, speech_sequence, understanding_sequence
from training.data.utterance import Span
from uniaudio.errors import InvalidInputError
from uniaudio.llm.text_tokenizer import TextTokenizer


@dataclass(frozen=True)
class PlannedSequence:
    """A sequence and, in order, the readers of its recordings' frames."""

    sequence: TrainingSequence
    readers: tuple[Callable[[], StoredPosterior], ...]


class SequenceTask(Protocol):
    """A kind of example."""

    def plan(self, number: int) -> PlannedSequence:
        """The task's sequence of that number, from 0 without end; reads no frames."""


class EpochOrder:
    """An endless order of `size` items: each epoch has all of them, shuffled anew."""

    def __init__(self, seed: int, size: int, name: str) -> None:
        if size < 1:
            raise InvalidInputError(f"the task {name!r} has no examples; give it at least one")
        self._seed, self._size = seed, size
        # Two epochs, because batches are made ahead of the step that is computed.
        self._permutation = lru_cache(maxsize=2)(self._shuffle)

    def item(self, number: int) -> int:
        """The item of that number."""
        epoch, place = divmod(number, self._size)
        return int(self._permutation(epoch)[place])

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(self._size)


@dataclass(frozen=True, kw_only=True)
class UnderstandingConfig:
    """`forced_language` is how often the language stands in the prompt, as callers may have it."""

    patch_size: int = 5
    forced_language: float = 0.2


class UnderstandingTask:
    """Recordings to be transcribed."""

    def __init__(
        self,
        corpus: LatentCorpus,
        tokenizer: TextTokenizer,
        seed: int,
        config: UnderstandingConfig | None = None,
    ) -> None:
        self._corpus, self._tokenizer, self._seed = corpus, tokenizer, seed
        self._config = config or UnderstandingConfig()
        self._order = EpochOrder(seed, len(corpus), "understanding")

    def plan(self, number: int) -> PlannedSequence:
        """One recording and its text."""
        index, rng = self._order.item(number), np.random.default_rng([self._seed, number, 1])
        sequence = understanding_sequence(
            self._tokenizer,
            text=self._corpus.text(index),
            language=self._corpus.language(index),
            num_patches=self._corpus.num_frames(index) // self._config.patch_size,
            forced_language=bool(rng.random() < self._config.forced_language),
        )
        return PlannedSequence(sequence, (partial(self._corpus.posterior, index),))


@dataclass(frozen=True, kw_only=True)
class SpeechConfig:
    """How speech is practised.

    Attributes:
        continuation: how often a prompt of the same voice comes first; callers mostly give one.
        max_prompt_frames: longer prompts end with a word before.
        sentence_case: how often a text is written with a capital and a full stop, as callers write.
    """

    patch_size: int = 5
    hop_length: int = 320
    continuation: float = 0.9
    max_prompt_frames: int = 150
    sentence_case: float = 0.3


class SpeechTask:
    """Texts to be spoken, mostly in the voice of another utterance that comes first."""

    def __init__(
        self, corpus: LatentCorpus, tokenizer: TextTokenizer, seed: int, config: SpeechConfig | None = None
    ) -> None:
        self._corpus, self._tokenizer, self._seed = corpus, tokenizer, seed
        self._config = config or SpeechConfig()
        self._order = EpochOrder(seed, len(corpus), "speech")
        self._of_voice: dict[str, list[int]] = {}
        for index in range(len(corpus)):
            self._of_voice.setdefault(corpus.voice(index), []).append(index)

    def plan(self, number: int) -> PlannedSequence:
        """One text, with or without a prompt."""
        index, rng = self._order.item(number), np.random.default_rng([self._seed, number, 2])
        text = self._written(self._corpus.text(index), rng)
        num_patches = self._corpus.num_frames(index) // self._config.patch_size
        prompt = self._prompt(index, rng)
        letters = self._letters(index, num_patches)
        if prompt is None:
            sequence = speech_sequence(self._tokenizer, text=text, num_patches=num_patches, letters=letters)
            return PlannedSequence(sequence, (partial(self._corpus.posterior, index),))
        prompt_index, prompt_text, num_frames = prompt
        sequence = speech_sequence(
            self._tokenizer,
            text=text,
            num_patches=num_patches,
            prompt_text=self._written(prompt_text, rng),
            num_prompt_patches=num_frames // self._config.patch_size,
            letters=(*self._letters(prompt_index, num_frames // self._config.patch_size), *letters),
        )
        heard = partial(self._corpus.posterior, prompt_index, num_frames)
        return PlannedSequence(sequence, (heard, partial(self._corpus.posterior, index)))

    def _prompt(self, index: int, rng: np.random.Generator) -> tuple[int, str, int] | None:
        """Another utterance of the voice, its words and its frames; None where there is none."""
        others = self._of_voice[self._corpus.voice(index)]
        if rng.random() >= self._config.continuation or len(others) < 2:
            return None
        place = int(rng.integers(len(others) - 1))
        other = others[place] if others[place] != index else others[-1]
        num_frames = self._corpus.num_frames(other)
        if num_frames <= self._config.max_prompt_frames:
            return other, self._corpus.text(other), num_frames
        patch_samples = self._config.patch_size * self._config.hop_length
        limit = self._config.max_prompt_frames * self._config.hop_length
        kept = [word for word in self._corpus.words(other) if word.end <= limit]
        if not kept:
            return None
        num_patches = max(1, round(kept[-1].end / patch_samples))
        return other, " ".join(word.label for word in kept), num_patches * self._config.patch_size

    def _letters(self, index: int, num_patches: int) -> tuple[int, ...]:
        patch_samples = self._config.patch_size * self._config.hop_length
        return letter_tokens(self._tokenizer, self._corpus.words(index), num_patches, patch_samples)

    def _written(self, text: str, rng: np.random.Generator) -> str:
        if rng.random() >= self._config.sentence_case:
            return text
        return f"{text[:1].upper()}{text[1:]}."


def letter_tokens(
    tokenizer: TextTokenizer, words: Sequence[Span], num_patches: int, patch_samples: int
) -> tuple[int, ...]:
    """The token of the letter that each patch speaks in its middle, -1 in pauses."""
    spoken = letters_spoken(words, num_patches, patch_samples)
    return tuple(tokenizer.encode(letter)[0] if letter else -1 for letter in spoken)


def letters_spoken(words: Sequence[Span], num_patches: int, patch_samples: int) -> list[str]:
    """The letter in the middle of each patch, "" in pauses: a word's letters share its time evenly.

    Words that the synthesiser fused have one span and share that.
    """
    letters = [""] * num_patches
    for (start, end), fused in groupby(words, lambda word: (word.start, word.end)):
        text = " ".join(word.label for word in fused)
        first = max(0, -(-(start - patch_samples // 2) // patch_samples))
        for patch in range(first, num_patches):
            middle = patch * patch_samples + patch_samples // 2
            if middle >= end:
                break
            letters[patch] = text[(middle - start) * len(text) // (end - start)]
    return letters
