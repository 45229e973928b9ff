"""Trains the toy in one process or in several, for tests that compare the two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as processes
from safetensors.torch import load_file
from torch import Tensor

from training.checkpoints.store import open_store
from training.config import CheckpointConfig, TrainConfig
from training.loop.trainer import Trainer
from training.ranks.ranks import Ranks, joined_ranks
from training.recipes.debug import debug
from training.run_folder import RunFolder
from training.stages.toy import ToyConfig, ToyStage
from training.telling.progress import Silent

NUM_STEPS = 9


def run_config(**changes: Any) -> TrainConfig:
    """A run of `NUM_STEPS` that logs every step and is saved when it stops and when it ends."""
    config = replace(
        debug(short=True)[0],
        num_steps=NUM_STEPS,
        log_every_steps=1,
        evaluate_every_steps=0,
        checkpoint=CheckpointConfig(every_steps=1000, every_seconds=1e9),
    )
    return replace(config, **changes)


@dataclass(frozen=True, kw_only=True)
class Training:
    """One call of the trainer in `place`, asked to stop once `stop_after` steps are done in it."""

    place: Path
    config: TrainConfig = field(default_factory=run_config)
    toy: ToyConfig = field(default_factory=ToyConfig)
    stop_after: int | None = None

    def run(self, ranks: Ranks | None = None) -> bool:
        """Trains; what `Trainer.train` says."""
        ranks = ranks or Ranks()
        torch.manual_seed(self.config.seed + ranks.rank)  # ranks take over the first one's weights
        asked = 0

        def stop() -> bool:
            nonlocal asked
            asked += 1
            return asked == self.stop_after

        folder = RunFolder(self.place / "run")
        folder.path.mkdir(parents=True, exist_ok=True)
        stage = ToyStage(self.toy, self.config.seed)
        with open_store(str(self.place / "store"), holder="test") as store:
            trainer = Trainer(
                self.config, stage, folder=folder, store=store, progress=Silent(), ranks=ranks, stop=stop
            )
            return trainer.train()


def run_on_ranks(trainings: Sequence[Training], num_ranks: int, port: int) -> None:
    """Runs all of `trainings`, one after the other, on `num_ranks` processes joined by gloo."""
    # The recipe's `build` is a closure, which does not travel; every rank makes its own.
    sent = [replace(training, config=replace(training.config, build=_not_called)) for training in trainings]
    processes.start_processes(_rank, (sent, num_ranks, port), num_ranks, start_method="spawn")


def weights(place: Path) -> dict[str, Tensor]:
    """The weights that a training in `place` exported."""
    return load_file(RunFolder(place / "run").weights)


def _not_called(_context: object) -> Any:
    raise AssertionError


def _rank(rank: int, trainings: Sequence[Training], num_ranks: int, port: int) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(num_ranks),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    with joined_ranks() as ranks:
        ranks.wait_for_making()
        for training in trainings:
            training.run(ranks)
