"""The loop: what happens in a step, and when the run is logged, looked at and saved."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.checkpoints.store import CheckpointStore
from training.config import TrainConfig
from training.loop.ema import WeightAverage
from training.loop.optimizer import PlayerOptimizer
from training.loop.precision import precision_on
from training.loop.prefetch import Prefetched
from training.loop.saving import Checkpoints
from training.loop.snapshot import read_loop, read_snapshot, stored_names
from training.loop.state import module_tensors, prepare_moments, run_tensors
from training.ranks.ranks import Ranks
from training.ranks.sharding import Layout
from training.run_folder import RunFolder
from training.stage import Share, Stage, to_device
from training.telling.progress import RunProgress
from training.telling.reporting import Reporter
from uniaudio.errors import UniaudioError

BATCH_SECONDS = 900.0


class Trainer:
    """Trains one stage to its last step, from wherever its last checkpoint left it.

    `stop` is asked after every step; once it says yes on any rank, the run is saved and `train` returns.
    """

    def __init__(
        self,
        config: TrainConfig,
        stage: Stage,
        *,
        folder: RunFolder,
        store: CheckpointStore,
        progress: RunProgress,
        ranks: Ranks | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config, self._stage, self._folder, self._stop = config, stage, folder, stop
        self._ranks = ranks or Ranks()
        for module in stage.modules.values():
            module.to(self._ranks.device)
        self._layout = Layout(self._ranks, config.parallel, stage)
        self._players = [PlayerOptimizer(player, config.num_steps) for player in stage.players]
        self._average = _average_of(self._players, config.ema_decay)
        self._checkpoints = Checkpoints(store, folder, self._ranks, config.checkpoint.keep_last)
        self._reporter = Reporter(config.name, folder, self._ranks, progress)
        self._precision = precision_on(self._ranks.device, config.autocast)
        self._done = 0
        self._saved_at = time.monotonic()

    def train(self) -> bool:
        """True when the run has finished and its weights lie in its folder, False when it was stopped.

        Raises UniaudioError for a loss that is not finite, and whatever keeps the stage from its data or
        the store from its checkpoints; training again goes on from the last checkpoint.
        """
        self._resume()
        with self._reporter.from_step(self._done), self._batches() as batches:
            for step, shares in batches:
                self._step(step, shares)
                self._report()
                if self._save_or_stop():
                    return False
        self._checkpoints.settle()
        self._export()
        return True

    def _step(self, step: int, shares: list[Any]) -> None:
        seed_everything(self._config.seed, step, self._ranks.rank)
        for player in self._players:
            player.begin(self._players)
            loss, metrics = self._backward(player, shares, step)
            self._layout.sum_gradients(player.parameters)
            norm, total = self._layout.norm_and_loss(player.parameters, loss)
            self._check_finite(player, step, norm, total, metrics)
            player.move(step, norm)
            self._reporter.note_parts(self._prefix(player), {**metrics, "loss": loss})
            self._reporter.note(self._prefix(player), {"gradient_norm": norm})
        self._reporter.note("", self._stage.after_step(step))
        if self._average is not None:
            self._average.update(step)
        self._done = step + 1
        self._reporter.end_step(self._done)

    def _backward(
        self, player: PlayerOptimizer, shares: list[Any], step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """This rank's part of the loss and of each metric; gradients are summed over its microbatches."""
        loss = torch.zeros((), device=self._ranks.device)
        metrics: dict[str, Tensor] = {}
        for share in shares:
            with self._autocast():
                part = self._stage.loss(player.name, to_device(share, self._ranks.device), step)
            if part.value.requires_grad:
                part.value.backward()  # type: ignore[no-untyped-call]
            loss += part.value.detach()
            for name, value in part.metrics.items():
                metrics[name] = metrics.get(name, 0) + value.detach()
        return loss, metrics

    def _report(self) -> None:
        is_last = self._done == self._config.num_steps
        if is_last or self._done % self._config.log_every_steps == 0:
            self._reporter.log(self._done, self._rates())
        every = self._config.evaluate_every_steps
        if is_last or (every and self._done % every == 0):
            self._evaluate()

    def _evaluate(self) -> None:
        # Where weights are sharded, no rank can look at the model alone.
        if self._ranks.is_first or self._layout.is_sharded:
            with self._averaged(), _evaluating(self._stage), torch.no_grad():
                evaluation = self._stage.evaluate(self._done)
            if self._ranks.is_first:
                self._reporter.show(self._done, evaluation)
        self._reporter.skip_time()

    def _save_or_stop(self) -> bool:
        """Saves when it is time; whether the run was asked to stop before its end."""
        rule = self._config.checkpoint
        is_late = self._ranks.is_first and time.monotonic() - self._saved_at >= rule.every_seconds
        is_stopped, is_late = self._ranks.any_of(self._stop(), is_late)
        is_last = self._done == self._config.num_steps
        if is_last or is_stopped or is_late or self._done % rule.every_steps == 0:
            self._save()
        if is_stopped and not is_last:
            self._checkpoints.settle()
            self._reporter.tell("stopped", step=self._done, saved=self._checkpoints.saved_step)
            return True
        return False

    def _save(self) -> None:
        loop = {"step": self._done, "stage": dict(self._stage.state()), "config": plain_config(self._config)}
        self._checkpoints.save(self._done, self._tensors(), loop)
        self._saved_at = time.monotonic()
        self._reporter.skip_time()

    def _resume(self) -> None:
        folder = self._checkpoints.fetch_latest()
        if folder is None:
            return
        loop = read_loop(folder)
        prepare_moments(self._players, stored_names(folder))
        read_snapshot(folder, self._tensors(), self._ranks)
        self._stage.load_state(loop["stage"])
        self._done = int(loop["step"])
        self._checkpoints.forget_fetched()
        changed = changed_fields(loop["config"], plain_config(self._config))
        self._reporter.tell("resumed", step=self._done, **({"changed": changed} if changed else {}))

    def _export(self) -> None:
        with self._averaged(), torch.no_grad():
            named = module_tensors(self._stage.modules)
            weights = {name: self._layout.whole(tensor, tensor) for name, tensor in named.items()}
            if self._ranks.is_first:
                self._folder.finish(self._done, weights)  # they may share memory with what is put back
        self._ranks.wait()

    def _tensors(self) -> dict[str, Tensor]:
        return run_tensors(self._stage.modules, self._players, self._average, self._layout)

    def _batches(self) -> Prefetched[list[Any]]:
        count = self._config.num_microbatches
        first = self._ranks.rank * count
        shares = [Share(index=first + index, count=count * self._ranks.count) for index in range(count)]

        def load(step: int) -> list[Any]:
            return [self._stage.batch(step, share) for share in shares]

        return Prefetched(load, self._done, self._config.num_steps, BATCH_SECONDS)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._ranks.device.type, dtype=torch.bfloat16, enabled=self._precision == "bfloat16"
        )

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        if self._average is None:
            yield
            return
        with self._average.in_place():
            yield

    def _rates(self) -> dict[str, float]:
        return {
            self._prefix(player) + "learning_rate" + (f"/{label}" if label else ""): rate
            for player in self._players
            for label, rate in player.rates().items()
        }

    def _prefix(self, player: PlayerOptimizer) -> str:
        return f"{player.name}/" if len(self._players) > 1 else ""

    def _check_finite(
        self, player: PlayerOptimizer, step: int, norm: float, loss: float, metrics: Mapping[str, Tensor]
    ) -> None:
        if math.isfinite(norm) and math.isfinite(loss):
            return
        told = ", ".join(f"{name} {float(value):.4g}" for name, value in metrics.items())
        raise UniaudioError(
            f"run {self._config.name!r}, step {step}: player {player.name!r} has loss {loss:.4g} and gradient norm "
            f"{norm:.4g} ({told or 'no metrics'}); the last checkpoint, of step {self._checkpoints.saved_step}, is "
            f"untouched. Look at Stage.batch({step}); lower learning_rate or clip_norm, lengthen warmup_steps, or "
            "train in float32; then start again to continue from there",
            reason="DIVERGED",
            step=step,
            player=player.name,
        )


def seed_everything(seed: int, step: int, rank: int) -> None:
    """Makes every global random state a function of run, step and rank, so that resuming needs none of them.

    Losses should draw nothing; a layer that does all the same (dropout) still resumes exactly.
    """
    words = np.random.SeedSequence([seed, step, rank]).generate_state(2)
    random.seed(int(words[0]))
    np.random.seed(int(words[0]))
    torch.manual_seed(int(words[0]) << 32 | int(words[1]))


def plain_config(config: TrainConfig) -> dict[str, Any]:
    """The run's values as a checkpoint keeps them."""
    values = dataclasses.asdict(config)
    del values["build"]
    return values


def changed_fields(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Which values of a run are not what they were when it was saved."""
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return ", ".join(f"{name}: {before.get(name)} -> {now.get(name)}" for name in names)


def _average_of(players: list[PlayerOptimizer], decay: float | None) -> WeightAverage | None:
    if decay is None:
        return None
    named = {
        f"{player.name}.{name}": value for player in players for name, value in player.parameters.items()
    }
    return WeightAverage(named, decay)


@contextmanager
def _evaluating(stage: Stage) -> Iterator[None]:
    """Inside, every module is in evaluation mode; afterwards each is as it was."""
    modes = [(part, part.training) for module in stage.modules.values() for part in module.modules()]
    for part, _ in modes:
        part.training = False
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
