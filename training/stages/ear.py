"""The letter ear: CTC on the content of latents, as they are drawn and with noise on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.config import OptimizerConfig
from training.data.by_length import ByLength
from training.data.latents import LatentCorpus
from training.stage import Evaluation, Player, Share, StepLoss, item_generator
from training.weights import StoredWeights, fill_modules
from uniaudio.evaluation.word_errors import averages, count_errors
from uniaudio.tokenizer.ear import BLANK, EarConfig, LetterEar

_STEP_STREAM, _ITEM_STREAM = 1, 2
_NEIGHBOURHOOD = 0.04  # of all recordings, by length: a batch is drawn among so many


@dataclass(frozen=True, kw_only=True)
class EarStageConfig:
    """Sizes, and the largest noise that is added to latents: the ear is to hear what a flow head makes."""

    net: EarConfig
    batch_size: int = 32
    noise: float = 0.3
    num_evaluated: int = 100
    seed: int = 0


@dataclass(frozen=True)
class EarBatch:
    """Latents `(B, T, C)` with their lengths `(B,)`, and letters end to end with theirs."""

    latents: Tensor
    lengths: Tensor
    letters: Tensor
    letter_lengths: Tensor


class EarStage:
    """Letters of latents. Examined on held-out sentences, word by word."""

    def __init__(
        self,
        config: EarStageConfig,
        train: LatentCorpus,
        held_out: LatentCorpus,
        optimizer: OptimizerConfig,
    ) -> None:
        self.config, self.train, self.held_out = config, train, held_out
        self.ear = LetterEar(config.net)
        self.modules: Mapping[str, nn.Module] = {"ear": self.ear}
        self.players: Sequence[Player] = [Player(name="ear", modules=self.modules, optimizer=optimizer)]
        self._by_length = ByLength([train.num_frames(index) for index in range(len(train))], _NEIGHBOURHOOD)

    def batch(self, step: int, share: Share) -> EarBatch:
        """Recordings of like lengths, each with noise of its own."""
        centre = item_generator(self.config.seed, step, 0, _STEP_STREAM).random()
        latents, letters = [], []
        for item in share.of(range(self.config.batch_size)):
            rng = item_generator(self.config.seed, step, item, _ITEM_STREAM)
            index = self._by_length.draw(centre, rng)
            drawn = self.train.posterior(index).sample(rng)
            drawn += self.config.noise * rng.random() * rng.standard_normal(drawn.shape, dtype=np.float32)
            latents.append(torch.from_numpy(drawn))
            letters.append(torch.tensor(self._letters(self.train.text(index))))
        return EarBatch(
            nn.utils.rnn.pad_sequence(latents, batch_first=True),
            torch.tensor([len(item) for item in latents]),
            torch.cat(letters),
            torch.tensor([len(item) for item in letters]),
        )

    def _letters(self, text: str) -> list[int]:
        alphabet = self.config.net.alphabet
        return [1 + alphabet.index(char) for char in " ".join(text.casefold().split()) if char in alphabet]

    def loss(self, player: str, batch: EarBatch, step: int) -> StepLoss:
        """CTC per letter, averaged over the step's items."""
        heard = self.ear(batch.latents, batch.lengths)
        losses = nn.functional.ctc_loss(
            heard.transpose(0, 1), batch.letters, batch.lengths, batch.letter_lengths,
            blank=BLANK, reduction="none", zero_infinity=True,
        )  # fmt: skip
        value = (losses / batch.letter_lengths.clamp_min(1)).sum() / self.config.batch_size
        return StepLoss(value=value, metrics={"ctc": value.detach()})

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """Word errors (macro) of its best letters on held-out recordings."""
        self.ear.eval()
        wer = word_errors(self.ear, self.held_out, self.config.num_evaluated)
        self.ear.train()
        return Evaluation(metrics={"wer": wer})

    def state(self) -> Mapping[str, Any]:
        """Nothing but weights."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""


def word_errors(ear: LetterEar, recordings: LatentCorpus, num_items: int) -> float:
    """The share of words wrong (macro) where the best letter of every frame is written down."""
    errors = []
    for index in range(min(num_items, len(recordings))):
        best = ear.hear(torch.from_numpy(recordings.posterior(index).mean)).argmax(-1)
        letters = [letter for letter in torch.unique_consecutive(best).tolist() if letter != BLANK]
        heard = "".join(ear.config.alphabet[letter - 1] for letter in letters)
        errors.append(count_errors(recordings.text(index).casefold().split(), heard.split()))
    return averages(errors).macro or 0.0


def read_ear(weights: Path, config: EarConfig) -> LetterEar:
    """The ear of a run's `weights.safetensors`; CheckpointError where the run has not finished."""
    ear = LetterEar(config)
    fill_modules({"ear": ear}, StoredWeights(weights))
    return ear.eval()
