"""The in-house speaker encoder: training voices told apart with a margin, whatever the room or the codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import OptimizerConfig
from training.data.augment.degrade import Degradation, degrade
from training.stage import Evaluation, Player, Share, StepLoss, item_generator
from training.weights import StoredWeights, fill_modules
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.mel_net import MelNetConfig, log_mel, pad
from uniaudio.evaluation.speaker import EMBEDDING_DIM, SMALL, SpeakerEncoder, SpeakerNet

Waveform = NDArray[np.float32]
_RATE = 16_000
_NUM_CHOICES = 10


class Voices(Protocol):
    """What is read of a corpus."""

    def __len__(self) -> int: ...

    def voice(self, index: int) -> str: ...

    def num_samples(self, index: int) -> int: ...

    def waveform(self, index: int, start: int = 0, stop: int | None = None) -> Waveform: ...


@dataclass(frozen=True, kw_only=True)
class SpeakerConfig:
    """Sizes, crops, and the margin (in cosine) by which the right voice must win."""

    net: MelNetConfig = SMALL
    batch_size: int = 48
    crop_seconds: tuple[float, float] = (0.8, 2.4)
    degraded: float = 0.4
    margin: float = 0.2
    scale: float = 24.0
    num_evaluated: int = 200
    seed: int = 0


@dataclass(frozen=True)
class SpeakerBatch:
    """Log-mel `(B, T, num_mels)`, lengths `(B,)` and the voices' numbers `(B,)`."""

    features: Tensor
    lengths: Tensor
    voices: Tensor


class SpeakerStage:
    """Classification with an additive margin over the training voices; examined on held-out recordings."""

    def __init__(
        self, config: SpeakerConfig, train: Voices, held_out: Voices, optimizer: OptimizerConfig
    ) -> None:
        self.config, self.train, self.held_out = config, train, held_out
        self._of_voice: dict[str, list[int]] = {}
        for index in range(len(train)):
            self._of_voice.setdefault(train.voice(index), []).append(index)
        self.voices = sorted(self._of_voice)
        if len(self.voices) < 2:
            raise InvalidInputError(f"the corpus has {len(self.voices)} voice; telling apart needs 2")
        self.net = SpeakerNet(config.net)
        self.prototypes = nn.Linear(EMBEDDING_DIM, len(self.voices), bias=False)
        self.modules: Mapping[str, nn.Module] = {"speaker": self.net, "prototypes": self.prototypes}
        self.players: Sequence[Player] = [Player(name="speaker", modules=self.modules, optimizer=optimizer)]

    def batch(self, step: int, share: Share) -> SpeakerBatch:
        """Crops of one length; every voice is drawn as often as any other."""
        config = self.config
        seconds = item_generator(config.seed, step, 0, 1).uniform(*config.crop_seconds)
        features, voices = [], []
        for item in share.of(range(config.batch_size)):
            rng = item_generator(config.seed, step, item, 2)
            voice = int(rng.integers(len(self.voices)))
            index = int(rng.choice(self._of_voice[self.voices[voice]]))
            crop = self._crop(index, round(seconds * _RATE), rng)
            features.append(log_mel(torch.from_numpy(np.ascontiguousarray(crop)), config.net.num_mels))
            voices.append(voice)
        padded, lengths = pad(features)
        return SpeakerBatch(padded, lengths, torch.tensor(voices))

    def _crop(self, index: int, num_samples: int, rng: np.random.Generator) -> Waveform:
        start = int(rng.integers(max(1, self.train.num_samples(index) - num_samples + 1)))
        crop = self.train.waveform(index, start, start + num_samples)
        if rng.random() < self.config.degraded:
            crop = degrade(crop, rng, Degradation(snr_db=(5.0, 35.0), codec=0.2))
        return crop

    def loss(self, player: str, batch: SpeakerBatch, step: int) -> StepLoss:
        """Cross-entropy of scaled cosines, the right one lowered by the margin."""
        config = self.config
        vectors = self.net(batch.features, batch.lengths)
        cosines = vectors @ nn.functional.normalize(self.prototypes.weight.float(), dim=-1).T
        right = nn.functional.one_hot(batch.voices, len(self.voices))
        losses = nn.functional.cross_entropy(
            config.scale * (cosines - config.margin * right), batch.voices, reduction="none"
        )
        hits = (cosines.argmax(-1) == batch.voices).sum()
        return StepLoss(
            value=losses.sum() / config.batch_size,
            metrics={
                "voice_loss": losses.detach().sum() / config.batch_size,
                "voice_accuracy": hits.detach().float() / config.batch_size,
            },
        )

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """How often the right voice is chosen among ten, for recordings that were not trained on."""
        self.net.eval()
        accuracy = measure_accuracy(SpeakerEncoder(net=self.net), self.held_out, self.config.num_evaluated)
        self.net.train()
        return Evaluation(metrics=accuracy)

    def state(self) -> Mapping[str, Any]:
        """Nothing but weights."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""


def measure_accuracy(encoder: SpeakerEncoder, recordings: Voices, num_items: int) -> dict[str, float]:
    """How often a recording is nearest to its voice's other ones, among at most ten voices drawn for it."""
    indices = list(range(min(num_items, len(recordings))))
    names = [recordings.voice(index) for index in indices]
    vectors = torch.cat([encoder.embed([torch.from_numpy(recordings.waveform(index))]) for index in indices])
    voices = sorted(set(names))
    hits, tried = 0, 0
    for place, name in enumerate(names):
        rng = item_generator(0, place, 0)
        rivals = [voice for voice in voices if voice != name]
        chosen = [str(voice) for voice in rng.permutation(rivals)[: _NUM_CHOICES - 1]]
        likeness = {}
        for voice in (name, *chosen):
            others = [index for index, other in enumerate(names) if other == voice and index != place]
            if others:
                centre = nn.functional.normalize(vectors[others].mean(0), dim=-1)
                likeness[voice] = float(vectors[place] @ centre)
        if name in likeness and len(likeness) > 1:
            tried += 1
            hits += max(likeness, key=lambda voice: likeness[voice]) == name
    return {"right_voice": hits / tried} if tried else {}


def export_speaker_encoder(
    weights: Path,
    folder: Path,
    config: MelNetConfig,
    *,
    held_out: Voices,
    about: Mapping[str, Any],
    num_items: int = 400,
) -> SpeakerEncoder:
    """Writes a run's `weights.safetensors` as the folder that `uniaudio eval` loads, accuracy measured."""
    net = SpeakerNet(config)
    fill_modules({"speaker": net}, StoredWeights(weights))
    accuracy = measure_accuracy(SpeakerEncoder(net=net.eval()), held_out, num_items)
    finished = SpeakerEncoder(net=net, accuracy=accuracy)
    finished.save(folder, about)
    return finished
