"""Resumed training is uninterrupted training: bit by bit on one rank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.checkpoints.store import open_store
from training.config import CheckpointConfig, TrainConfig
from training.progress import Silent
from training.recipes.debug import debug
from training.run_folder import RunFolder
from training.stages.toy import ToyConfig, ToyStage
from training.trainer import Trainer

NUM_STEPS = 9


def run_config(**changes: object) -> TrainConfig:
    config = replace(
        debug(short=True)[0],
        num_steps=NUM_STEPS,
        evaluate_every_steps=0,
        checkpoint=CheckpointConfig(every_steps=4, every_seconds=1e9),
    )
    return replace(config, **changes)


def train(place: Path, config: TrainConfig, toy: ToyConfig, stop_after: int | None = None) -> bool:
    """Trains in `place`; asked to stop once `stop_after` steps are done here."""
    torch.manual_seed(config.seed)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == stop_after

    folder = RunFolder(place / "run")
    folder.path.mkdir(parents=True, exist_ok=True)
    with open_store(str(place / "store"), holder="test") as store:
        trainer = Trainer(
            config, ToyStage(toy, config.seed), folder=folder, store=store, progress=Silent(), stop=stop
        )
        return trainer.train()


def weights(place: Path) -> dict[str, torch.Tensor]:
    return load_file(RunFolder(place / "run").weights)


@pytest.mark.parametrize("has_critic", [False, True])
@pytest.mark.parametrize("autocast", ["float32", "bfloat16"])
def test_resumed_is_uninterrupted(tmp_path: Path, has_critic: bool, autocast: str) -> None:
    toy, config = ToyConfig(has_critic=has_critic), run_config(autocast=autocast)
    assert train(tmp_path / "whole", config, toy)
    assert not train(tmp_path / "parts", config, toy, stop_after=3)
    assert not train(tmp_path / "parts", config, toy, stop_after=2)
    assert train(tmp_path / "parts", config, toy)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name
