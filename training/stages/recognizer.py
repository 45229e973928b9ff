"""The in-house recogniser: CTC on speech of every speed and pitch, in noise, music, rooms and codecs.

It judges edits, so it must read what edits make: speed by the hop at which it is shown a recording (pitch
kept), pitch by resampling, both without a vocoder's cost. Its floor, the word errors on true recordings of
every kind, is measured with the exact tools of `uniaudio.editing` and published beside its verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import OptimizerConfig
from training.data.augment.degrade import Degradation, degrade, draw_noise
from training.data.augment.mix import lower_together, mix_at_snr
from training.data.augment.music import music
from training.data.by_length import ByLength
from training.stage import Evaluation, Player, Share, StepLoss, item_generator
from training.weights import StoredWeights, fill_modules
from uniaudio.editing.exact import apply_exact
from uniaudio.editing.plan import EditKind
from uniaudio.evaluation.mel_net import HOP_LENGTH, MelNetConfig, log_mel, pad
from uniaudio.evaluation.recognizer import BLANK, Recognizer, RecognizerNet, to_labels
from uniaudio.evaluation.word_errors import averages, count_errors

Waveform = NDArray[np.float32]
_RATE = 16_000
_STEP_STREAM, _ITEM_STREAM = 1, 2
_NEIGHBOURHOOD = 0.06  # of all recordings, by length: a batch is drawn among so many


class Recordings(Protocol):
    """What is read of a corpus."""

    def __len__(self) -> int: ...

    def text(self, index: int) -> str: ...

    def num_samples(self, index: int) -> int: ...

    def waveform(self, index: int) -> Waveform: ...


@dataclass(frozen=True, kw_only=True)
class RecognizerConfig:
    """Sizes, and how often a recording is changed; `speed` and `pitch` are spans of factors."""

    net: MelNetConfig = field(default_factory=MelNetConfig)
    batch_size: int = 32
    degraded: float = 0.5
    speed: tuple[float, float] = (0.5, 2.0)
    sped: float = 0.5
    pitch: tuple[float, float] = (0.66, 1.5)
    pitched: float = 0.4
    time_mask_frames: int = 12
    mel_mask: int = 10
    num_evaluated: int = 60
    seed: int = 0


@dataclass(frozen=True)
class RecognizerBatch:
    """Log-mel `(B, T, num_mels)` and labels end to end, with their lengths `(B,)`."""

    features: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor


class RecognizerStage:
    """Characters of changed recordings. Examined on held-out sentences, once per kind of edit."""

    def __init__(
        self, config: RecognizerConfig, train: Recordings, held_out: Recordings, optimizer: OptimizerConfig
    ) -> None:
        self.config, self.train, self.held_out = config, train, held_out
        self.net = RecognizerNet(config.net)
        self.modules: Mapping[str, nn.Module] = {"recognizer": self.net}
        self.players: Sequence[Player] = [
            Player(name="recognizer", modules=self.modules, optimizer=optimizer)
        ]
        self._by_length = ByLength([train.num_samples(index) for index in range(len(train))], _NEIGHBOURHOOD)

    def batch(self, step: int, share: Share) -> RecognizerBatch:
        """Recordings of like lengths at one speed, each changed in its own way."""
        rng = item_generator(self.config.seed, step, 0, _STEP_STREAM)
        speed = _log_uniform(rng, self.config.speed) if rng.random() < self.config.sped else 1.0
        centre = rng.random()
        features, labels = [], []
        for item in share.of(range(self.config.batch_size)):
            own = item_generator(self.config.seed, step, item, _ITEM_STREAM)
            index = self._by_length.draw(centre, own)
            features.append(self._features(self.train.waveform(index), speed, own))
            labels.append(torch.tensor(to_labels(self.train.text(index)), dtype=torch.long))
        padded, lengths = pad(features)
        label_lengths = torch.tensor([len(item) for item in labels])
        return RecognizerBatch(padded, lengths, torch.cat(labels), label_lengths)

    def _features(self, waveform: Waveform, speed: float, rng: np.random.Generator) -> Tensor:
        config = self.config
        if rng.random() < config.degraded:
            waveform = degrade(waveform, rng, Degradation(snr_db=(-2.0, 30.0), codec=0.2))
        pitch = _log_uniform(rng, config.pitch) if rng.random() < config.pitched else 1.0
        if pitch != 1.0:
            # Read at another rate it is higher and shorter; the hop gives the length back.
            waveform = soxr.resample(waveform, _RATE * pitch, _RATE, quality="QQ")
        hop = max(1, round(HOP_LENGTH * speed * rng.uniform(0.9, 1.1) / pitch))
        features = log_mel(torch.from_numpy(np.ascontiguousarray(waveform)), config.net.num_mels, hop)
        return _masked(features, config, rng)

    def loss(self, player: str, batch: RecognizerBatch, step: int) -> StepLoss:
        """CTC per character, averaged over the step's items."""
        log_probabilities, lengths = self.net(batch.features, batch.lengths)
        losses = nn.functional.ctc_loss(
            log_probabilities.transpose(0, 1), batch.labels, lengths, batch.label_lengths,
            blank=BLANK, reduction="none", zero_infinity=True,
        )  # fmt: skip
        value = (losses / batch.label_lengths.clamp_min(1)).sum() / self.config.batch_size
        return StepLoss(value=value, metrics={"ctc": value.detach()})

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """Word errors (macro) on held-out recordings, true ones and as each kind of edit leaves them."""
        self.net.eval()
        floors = measure_floors(Recognizer(net=self.net), self.held_out, self.config.num_evaluated)
        self.net.train()
        return Evaluation(metrics={f"wer_inhouse/{kind}": value for kind, value in floors.items()})

    def state(self) -> Mapping[str, Any]:
        """Nothing but weights."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""


def _log_uniform(rng: np.random.Generator, span: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(np.log(span[0]), np.log(span[1]))))


def _masked(features: Tensor, config: RecognizerConfig, rng: np.random.Generator) -> Tensor:
    """Two short stretches of time and one of bands put to their mean, so that neither is relied on."""
    masked = features.clone()
    for axis, limit in ((0, config.time_mask_frames), (0, config.time_mask_frames), (1, config.mel_mask)):
        width = int(rng.integers(limit + 1))
        start = int(rng.integers(max(1, masked.shape[axis] - width)))
        masked.narrow(axis, start, min(width, masked.shape[axis] - start)).zero_()
    return masked


_Change = Callable[[Waveform, np.random.Generator], Waveform]


def _exactly(kind: EditKind, values: tuple[float, ...]) -> _Change:
    return lambda waveform, rng: apply_exact(waveform, kind, float(rng.choice(values))).waveform


def _with_noise(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    return lower_together(mix_at_snr(waveform, draw_noise(waveform.size, rng), 5.0))[0]


def _with_music(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    return lower_together(mix_at_snr(waveform, music(waveform.size, rng), 10.0))[0]


def _coded(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    return degrade(waveform, rng, Degradation(reverb=0, noise=0, gain=0, codec=1))


FLOOR_KINDS: Mapping[str, _Change] = {
    "plain": lambda waveform, rng: waveform,
    "speed": _exactly(EditKind.SPEED, (0.5, 0.7, 1.3, 1.5, 1.7)),
    "pitch": _exactly(EditKind.PITCH, (-6.0, -4.0, -3.0, 3.0, 6.0)),
    "volume": _exactly(EditKind.VOLUME, (0.3, 0.5, 0.6, 1.5)),
    "noise": _with_noise,
    "music": _with_music,
    "codec": _coded,
}
"""What is done to true recordings for each floor: the printed values of the benchmark, noise at 5 dB."""


def measure_floors(recognizer: Recognizer, recordings: Recordings, num_items: int) -> dict[str, float]:
    """The recogniser's own word error rate (macro) on true recordings, by kind of edit."""
    floors = {}
    for kind, change in FLOOR_KINDS.items():
        errors = []
        for index in range(min(num_items, len(recordings))):
            rng = item_generator(0, index, 0)
            changed = change(recordings.waveform(index), rng)
            heard = recognizer.transcribe([torch.from_numpy(np.ascontiguousarray(changed))])[0]
            errors.append(count_errors(recordings.text(index).split(), heard.split()))
        floors[kind] = averages(errors).macro or 0.0
    return floors


def export_recognizer(
    weights: Path,
    folder: Path,
    config: MelNetConfig,
    *,
    vocabulary: Sequence[str],
    held_out: Recordings,
    about: Mapping[str, Any],
    num_items: int = 200,
) -> Recognizer:
    """Writes a run's `weights.safetensors` as the folder that `uniaudio eval` loads, floors measured."""
    net = RecognizerNet(config)
    fill_modules({"recognizer": net}, StoredWeights(weights))
    bare = Recognizer(net=net.eval(), vocabulary=frozenset(vocabulary))
    floors = measure_floors(bare, held_out, num_items)
    finished = Recognizer(net=net, vocabulary=bare.vocabulary, floors=floors)
    finished.save(folder, about)
    return finished
