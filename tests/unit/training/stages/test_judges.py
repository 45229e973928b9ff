"""The stages of the judges: batches as pure functions, shares that add up, learning, exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.unit.training.stages.shares import assert_shares_add_up
from training.config import OptimizerConfig
from training.stage import Share
from training.stages.recognizer import (
    FLOOR_KINDS,
    RecognizerConfig,
    RecognizerStage,
    export_recognizer,
    measure_floors,
)
from training.stages.speaker import SpeakerConfig, SpeakerStage, export_speaker_encoder, measure_accuracy
from training.weights import flat_weights
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.mel_net import MelNetConfig
from uniaudio.evaluation.recognizer import Recognizer
from uniaudio.evaluation.speaker import SpeakerEncoder

TINY = MelNetConfig(num_mels=20, width=24, hidden=32, num_blocks=2, kernel_size=5)
OPTIMIZER = OptimizerConfig(learning_rate=1e-3)


class Beeps:
    """A corpus in which every letter is a tone of its own, and every voice a loudness of its overtone."""

    def __init__(self, count: int = 24) -> None:
        self._texts = [" ".join("abcd"[(index + k) % 4] for k in range(3)) for index in range(count)]

    def __len__(self) -> int:
        return len(self._texts)

    def text(self, index: int) -> str:
        return self._texts[index]

    def voice(self, index: int) -> str:
        return f"voice-{index // 4 % 3}"

    def num_samples(self, index: int) -> int:
        return len(self.waveform(index))

    def waveform(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        times = np.arange(2400) / 16000
        overtone = (0.0, 0.5, 1.0)[index // 4 % 3]
        pieces = []
        for letter in self._texts[index].split():
            hertz = 300 * 1.5 ** "abcd".index(letter)
            tone = np.sin(2 * np.pi * hertz * times) + overtone * np.sin(2 * np.pi * 4.1 * hertz * times)
            pieces += [0.2 * tone, np.zeros(800)]
        return np.concatenate(pieces).astype(np.float32)[start:stop]


def recognizer_stage(**changes: object) -> RecognizerStage:
    config = RecognizerConfig(net=TINY, batch_size=6, num_evaluated=2, **changes)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return RecognizerStage(config, Beeps(), Beeps(), OPTIMIZER)


def speaker_stage(**changes: object) -> SpeakerStage:
    config = SpeakerConfig(net=TINY, batch_size=6, crop_seconds=(0.3, 0.5), **changes)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return SpeakerStage(config, Beeps(), Beeps(), OPTIMIZER)


@pytest.mark.parametrize("make", [recognizer_stage, speaker_stage])
def test_a_batch_is_a_pure_function_of_the_step(make: object) -> None:
    first, again = (make().batch(3, Share()) for _ in range(2))  # type: ignore[operator]
    other = make().batch(4, Share())  # type: ignore[operator]
    torch.testing.assert_close(first.features, again.features, rtol=0, atol=0)
    assert first.features.shape != other.features.shape or not torch.equal(first.features, other.features)


@pytest.mark.parametrize("make", [recognizer_stage, speaker_stage])
def test_shares_add_up(make: object) -> None:
    stage = make()  # type: ignore[operator]
    (player,) = stage.players
    assert_shares_add_up(stage, player.name, 1, count=2)


@pytest.mark.parametrize("make", [recognizer_stage, speaker_stage])
def test_it_learns(make: object) -> None:
    stage = make(degraded=0.0)  # type: ignore[operator]
    (player,) = stage.players
    parameters = [p for module in player.modules.values() for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-3)
    losses = []
    for step in range(60):
        loss = stage.loss(player.name, stage.batch(step % 4, Share()), step).value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:4])


def test_floors_of_every_kind_are_measured_and_published(tmp_path: Path) -> None:
    stage = recognizer_stage()
    metrics = stage.evaluate(0).metrics
    assert set(metrics) == {f"wer_inhouse/{kind}" for kind in FLOOR_KINDS}
    assert stage.net.training
    save_file(flat_weights(stage.modules), tmp_path / "weights.safetensors")
    made = export_recognizer(
        tmp_path / "weights.safetensors", tmp_path / "judge", TINY,
        vocabulary=["a", "b"], held_out=Beeps(), about={"steps": 0}, num_items=2,
    )  # fmt: skip
    loaded = Recognizer.load(tmp_path / "judge")
    assert loaded.floors == made.floors == measure_floors(loaded, Beeps(), 2)


def test_voices_are_told_apart_and_the_encoder_is_exported(tmp_path: Path) -> None:
    stage = speaker_stage(num_evaluated=12)
    save_file(flat_weights(stage.modules), tmp_path / "weights.safetensors")
    export_speaker_encoder(
        tmp_path / "weights.safetensors", tmp_path / "judge", TINY, held_out=Beeps(), about={}, num_items=12
    )
    loaded = SpeakerEncoder.load(tmp_path / "judge")
    assert loaded.accuracy == measure_accuracy(loaded, Beeps(), 12) == stage.evaluate(0).metrics
    assert 0 <= loaded.accuracy["right_voice"] <= 1


def test_one_voice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="1 voice"):
        SpeakerStage(SpeakerConfig(net=TINY), Beeps(4), Beeps(4), OPTIMIZER)
