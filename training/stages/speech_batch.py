"""Whole utterances for the stages that learn from text or from a teacher: which ones, how long, what noise.

Lengths and texts are known without reading audio, so a share knows what the whole step counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.config import BuildContext
from training.data.corpus import Corpus
from training.data.utterance import Span
from training.stage import Share, item_generator
from uniaudio.audio.framing import num_frames
from uniaudio.errors import InvalidInputError

Waveform = NDArray[np.float32]
_NOISE_STREAM, _EVALUATION_STREAM, _PLACE_STREAM = 1, 2, 3
# Levels differ in life.
_SOFTEST_DB = 12.0


class SpokenCorpus(Protocol):
    """What the stages ask of a corpus; only `waveform` reads audio."""

    def __len__(self) -> int: ...

    def text(self, index: int) -> str:
        """The sentence, lower case."""

    def num_samples(self, index: int) -> int:
        """Length of the recording."""

    def phones(self, index: int) -> tuple[Span, ...]:
        """What is pronounced when; perhaps nothing."""

    def waveform(self, index: int) -> Waveform:
        """Samples `(num_samples,)`, float32."""


@dataclass(frozen=True, kw_only=True)
class SpeechBatch:
    """Utterances padded with silence to `(B, num_samples)`, a multiple of the hop.

    `lengths` are the frames of each one; what belongs to frames lies packed, `(sum(lengths), ...)`.
    """

    indices: tuple[int, ...]
    waveform: Tensor
    lengths: tuple[int, ...]
    texts: tuple[str, ...]
    noise: Tensor  # (sum(lengths), noise_dim), standard normal


@dataclass(frozen=True)
class StepPlan:
    """The utterances of one step, longest first, and what all of them together count."""

    indices: tuple[int, ...]
    num_frames: int
    num_characters: int


class SpeechBatches:
    """Draws utterances of `min_frames` to `max_frames` by (seed, step, number) from a corpus."""

    def __init__(
        self,
        corpus: SpokenCorpus,
        *,
        seed: int,
        batch_size: int,
        hop_length: int = 320,
        min_frames: int = 1,
        max_frames: int = 500,
        noise_dim: int = 0,
    ) -> None:
        self.corpus, self.seed, self.batch_size = corpus, seed, batch_size
        self.hop_length, self.noise_dim, self.min_frames = hop_length, noise_dim, min_frames
        self._eligible = [i for i in range(len(corpus)) if min_frames <= self.num_frames(i) <= max_frames]
        if not self._eligible:
            raise InvalidInputError(
                f"none of {len(corpus)} utterances has {min_frames} to {max_frames} frames; change min_frames or "
                "max_frames, or give another corpus"
            )

    def plan(self, step: int) -> StepPlan:
        """What the step holds, whoever computes it."""
        drawn = [
            self._eligible[int(item_generator(self.seed, step, item).integers(len(self._eligible)))]
            for item in range(self.batch_size)
        ]
        indices = tuple(sorted(drawn, key=lambda i: (-self.corpus.num_samples(i), i)))
        return StepPlan(
            indices,
            sum(self.num_frames(i) for i in indices),
            sum(len(self.corpus.text(i)) for i in indices),
        )

    def batch(self, step: int, share: Share) -> SpeechBatch:
        """The share's utterances, each at a level of its own."""
        items = share.of(list(enumerate(self.plan(step).indices)))
        waveforms, noises = [], []
        for item, index in items:
            rng = item_generator(self.seed, step, item, stream=_NOISE_STREAM)
            gain = np.float32(10 ** (-rng.uniform(0, _SOFTEST_DB) / 20))
            waveforms.append(self.corpus.waveform(index) * gain)
            noises.append(rng.standard_normal((self.num_frames(index), self.noise_dim), dtype=np.float32))
        return self._collate([index for _, index in items], waveforms, noises)

    def fractions(self, step: int, share: Share) -> list[float]:
        """A number from 0 to 1 for each of the share's utterances: a place in it."""
        items = share.of(range(self.batch_size))
        return [item_generator(self.seed, step, item, stream=_PLACE_STREAM).random() for item in items]

    def fixed(self, indices: Sequence[int]) -> SpeechBatch:
        """These utterances as they are, with noise that depends on nothing else: for evaluations."""
        noises = [
            item_generator(self.seed, 0, index, stream=_EVALUATION_STREAM).standard_normal(
                (self.num_frames(index), self.noise_dim), dtype=np.float32
            )
            for index in indices
        ]
        return self._collate(indices, [self.corpus.waveform(index) for index in indices], noises)

    def fixed_batches(self, num_utterances: int) -> list[SpeechBatch]:
        """The first utterances of the corpus, in batches."""
        chosen = self._eligible[:num_utterances]
        return [
            self.fixed(chosen[start : start + self.batch_size])
            for start in range(0, len(chosen), self.batch_size)
        ]

    def num_frames(self, index: int) -> int:
        """Frames of an utterance, the last one possibly partly padding."""
        return num_frames(self.corpus.num_samples(index), self.hop_length)

    def _collate(
        self, indices: Sequence[int], waveforms: Sequence[Waveform], noises: Sequence[Waveform]
    ) -> SpeechBatch:
        lengths = tuple(self.num_frames(index) for index in indices)
        padded = np.zeros((len(indices), max(lengths, default=0) * self.hop_length), np.float32)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform
        noise = np.concatenate(noises) if noises else np.zeros((0, self.noise_dim), np.float32)
        return SpeechBatch(
            indices=tuple(indices),
            waveform=torch.from_numpy(padded),
            lengths=lengths,
            texts=tuple(self.corpus.text(index) for index in indices),
            noise=torch.from_numpy(noise),
        )


def pack(padded: Tensor, lengths: Sequence[int]) -> Tensor:
    """Rows `(sum(lengths), ...)` of `(B, T, ...)` without the padding."""
    return torch.cat([item[:length] for item, length in zip(padded, lengths, strict=True)])


def corpus_batches(
    context: BuildContext,
    *,
    batch_size: int,
    hop_length: int,
    max_frames: int,
    noise_dim: int,
    min_frames: int = 1,
) -> tuple[SpeechBatches, SpeechBatches]:
    """Batches for training, and held-out ones, of the corpus in the run's data folder."""
    train, held_out = (
        SpeechBatches(
            Corpus.open(context.data, split),
            seed=context.seed,
            batch_size=batch_size,
            hop_length=hop_length,
            min_frames=min_frames,
            max_frames=max_frames,
            noise_dim=noise_dim,
        )
        for split in ("train", "dev")
    )
    return train, held_out
