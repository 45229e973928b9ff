"""Whole utterances for the stages that learn from text or from a teacher: which ones, how long, what noise.

Lengths and texts are known without reading audio, so a share knows what the whole step counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from training.config import BuildContext
from training.data.packing import LengthBatches
from training.data.pipeline import AudioBatch, Stretch
from training.data.spoken import SYNTHETIC, Corpora, SpokenCorpus
from training.stage import Share, item_generator
from uniaudio.audio.framing import num_frames
from uniaudio.errors import InvalidInputError

_NOISE_STREAM, _EVALUATION_STREAM, _PLACE_STREAM = 1, 2, 3
# Levels differ in life.
_SOFTEST_DB = 12.0


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
    """Draws utterances of `min_frames` to `max_frames` by (seed, step, number) from a corpus.

    `batch_size` in a step; with `padded_frames` at most that many, all of like length, which padded have at
    most so many frames together, and every utterance once an epoch.
    """

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
        padded_frames: int | None = None,
    ) -> None:
        self.corpus, self.seed, self.batch_size = corpus, seed, batch_size
        self.hop_length, self.noise_dim, self.min_frames = hop_length, noise_dim, min_frames
        self._eligible = [i for i in range(len(corpus)) if min_frames <= self.num_frames(i) <= max_frames]
        if not self._eligible:
            raise InvalidInputError(
                f"none of {len(corpus)} utterances has {min_frames} to {max_frames} frames; change min_frames or "
                "max_frames, or give another corpus"
            )
        self._by_length: LengthBatches | None = None
        if padded_frames is not None:
            lengths = np.array([self.num_frames(i) for i in self._eligible])
            self._by_length = LengthBatches(lengths, max_total=padded_frames, seed=seed, max_items=batch_size)
        self._plan = lru_cache(maxsize=4)(self._planned)

    def plan(self, step: int) -> StepPlan:
        """What the step holds, whoever computes it."""
        return self._plan(step)

    def _planned(self, step: int) -> StepPlan:
        if self._by_length is None:
            places = [
                int(item_generator(self.seed, step, item).integers(len(self._eligible)))
                for item in range(self.batch_size)
            ]
        else:
            places = self._by_length.batch(step).tolist()
        drawn = [self._eligible[place] for place in places]
        indices = tuple(sorted(drawn, key=lambda i: (-self.corpus.num_samples(i), i)))
        return StepPlan(
            indices,
            sum(self.num_frames(i) for i in indices),
            sum(len(self.corpus.text(i)) for i in indices),
        )

    def batch(self, step: int, share: Share) -> SpeechBatch:
        """The share's utterances, each at a level of its own."""
        items = share.of(list(enumerate(self.plan(step).indices)))
        gains, noises = [], []
        for item, index in items:
            rng = item_generator(self.seed, step, item, stream=_NOISE_STREAM)
            gains.append(np.float32(10 ** (-rng.uniform(0, _SOFTEST_DB) / 20)))
            noises.append(rng.standard_normal((self.num_frames(index), self.noise_dim), dtype=np.float32))
        first = step * self.batch_size
        loaded = self.corpus.load([Stretch(index=index, number=first + item) for item, index in items])
        levels = torch.tensor(gains, device=loaded.waveforms.device)[:, None]
        louder = AudioBatch(loaded.waveforms * levels, loaded.lengths)
        return self._collate([index for _, index in items], louder, noises)

    def fractions(self, step: int, share: Share) -> list[float]:
        """A number from 0 to 1 for each of the share's utterances: a place in it."""
        items = share.of(range(len(self.plan(step).indices)))
        return [item_generator(self.seed, step, item, stream=_PLACE_STREAM).random() for item in items]

    def fixed(self, indices: Sequence[int]) -> SpeechBatch:
        """These utterances as they are, with noise that depends on nothing else: for evaluations."""
        noises = [
            item_generator(self.seed, 0, index, stream=_EVALUATION_STREAM).standard_normal(
                (self.num_frames(index), self.noise_dim), dtype=np.float32
            )
            for index in indices
        ]
        return self._collate(indices, self.corpus.load([Stretch(index=index) for index in indices]), noises)

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
        self, indices: Sequence[int], loaded: AudioBatch, noises: Sequence[NDArray[np.float32]]
    ) -> SpeechBatch:
        lengths = tuple(self.num_frames(index) for index in indices)
        missing = max(lengths, default=0) * self.hop_length - loaded.waveforms.shape[1]
        noise = np.concatenate(noises) if noises else np.zeros((0, self.noise_dim), np.float32)
        return SpeechBatch(
            indices=tuple(indices),
            waveform=pad(loaded.waveforms, (0, missing)),
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
    padded_frames: int | None = None,
    corpora: Corpora = SYNTHETIC,
) -> tuple[SpeechBatches, SpeechBatches]:
    """Batches for training, and held-out ones."""
    train, held_out = (
        SpeechBatches(
            corpora.open(context, split),
            seed=context.seed,
            batch_size=batch_size,
            hop_length=hop_length,
            min_frames=min_frames,
            max_frames=max_frames,
            noise_dim=noise_dim,
            padded_frames=padded_frames,
        )
        for split in ("train", "dev")
    )
    return train, held_out
