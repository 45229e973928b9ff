"""The loop sums shares, stops in time, names what went wrong, and never loses a good checkpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_ranks import run_config, weights
from training.checkpoints.store import CheckpointStore, open_store
from training.config import CheckpointConfig, TrainConfig
from training.loop.prefetch import Prefetched
from training.loop.trainer import Trainer, changed_fields, seed_everything
from training.run_folder import RunFolder
from training.stage import Evaluation, Share, StepLoss
from training.stages.toy import ToyBatch, ToyConfig, ToyStage
from training.telling.progress import Silent
from uniaudio.errors import DeadlineError, UnavailableError, UniaudioError


class Told(Silent):
    """Remembers what the loop tells."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def tell(self, event: str, **values: Any) -> None:
        self.events.append((event, values))


class WatchedStage(ToyStage):
    """Counts looks, and can spoil the loss of one step."""

    def __init__(self, toy: ToyConfig, bad_step: int | None = None) -> None:
        super().__init__(toy, 0)
        self.bad_step, self.looks = bad_step, []

    def loss(self, player: str, batch: ToyBatch, step: int) -> StepLoss:
        part = super().loss(player, batch, step)
        return replace(part, value=part.value * (torch.nan if step == self.bad_step else 1.0))

    def evaluate(self, step: int) -> Evaluation:
        self.looks.append((step, self.model.training, torch.is_grad_enabled()))
        return super().evaluate(step)


def train(
    place: Path,
    config: TrainConfig,
    stage: ToyStage | None = None,
    store: Any = None,
    stop: Callable[[], bool] = lambda: False,
) -> Told:
    torch.manual_seed(0)
    told, folder = Told(), RunFolder(place / "run")
    folder.path.mkdir(parents=True, exist_ok=True)
    with open_store(str(place / "store"), holder="test") as opened:
        stage = stage or ToyStage(ToyConfig(), 0)
        Trainer(config, stage, folder=folder, store=store or opened, progress=told, stop=stop).train()
    return told


def logged(place: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in RunFolder(place / "run").metrics.read_text().splitlines()]


def test_microbatches_change_nothing(tmp_path: Path) -> None:
    for count in (1, 4):
        train(tmp_path / str(count), run_config(num_microbatches=count))
    for name, value in weights(tmp_path / "1").items():
        torch.testing.assert_close(weights(tmp_path / "4")[name], value, rtol=1e-3, atol=1e-5)


def test_a_run_is_logged_looked_at_and_finished(tmp_path: Path) -> None:
    stage = WatchedStage(ToyConfig())
    told = train(tmp_path, run_config(evaluate_every_steps=4, log_every_steps=3), stage)
    assert stage.looks == [(4, False, False), (8, False, False), (9, False, False)]
    assert stage.model.training
    assert [event for event, _ in told.events] == ["evaluated"] * 3
    lines = logged(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == [3, 6, 9]
    assert {"gradient_norm", "learning_rate", "squared_error", "items_per_second", "points_seen"} <= lines[
        0
    ].keys()
    assert RunFolder(tmp_path / "run").finished_step() == 9
    assert list((tmp_path / "run" / "staging").iterdir()) == []


def test_the_average_is_exported_and_the_weights_train_on(tmp_path: Path) -> None:
    train(tmp_path / "plain", run_config(ema_decay=None))
    train(tmp_path / "averaged", run_config(evaluate_every_steps=1))
    plain, averaged = weights(tmp_path / "plain"), weights(tmp_path / "averaged")
    assert not torch.allclose(plain["model.inward.weight"], averaged["model.inward.weight"], atol=1e-4)
    losses = [
        [line["loss"] for line in logged(tmp_path / name) if "loss" in line] for name in ("plain", "averaged")
    ]
    assert losses[0] == losses[1]


def test_a_loss_that_is_not_finite_is_told_and_not_saved(tmp_path: Path) -> None:
    config = run_config(checkpoint=CheckpointConfig(every_steps=2))
    with pytest.raises(UniaudioError, match="step 5: player 'model' has loss nan") as caught:
        train(tmp_path, config, WatchedStage(ToyConfig(), bad_step=5))
    assert caught.value.reason == "DIVERGED"
    for part in ("squared_error", "of step 4, is untouched", "learning_rate", "Stage.batch(5)"):
        assert part in caught.value.message
    told = train(tmp_path, config)
    assert told.events[0] == ("resumed", {"step": 4})


def test_a_changed_configuration_is_told(tmp_path: Path) -> None:
    train(tmp_path, run_config(num_steps=2))
    told = train(tmp_path, run_config(num_steps=3))
    assert told.events[0] == ("resumed", {"step": 2, "changed": "num_steps: 2 -> 3"})
    assert changed_fields({"a": 1}, {"a": 1, "b": 2}) == "b: None -> 2"


def test_a_store_that_is_away_stops_the_run_and_resuming_survives_it(tmp_path: Path) -> None:
    config = run_config(checkpoint=CheckpointConfig(every_steps=2))
    with open_store(str(tmp_path / "store"), holder="test") as store:
        with pytest.raises(UnavailableError, match="the store is away"):
            train(tmp_path, config, store=_AwayAfter(store, num_saves=2))
        assert [info.step for info in store.list()] == [4, 2]
    assert train(tmp_path, config).events[0] == ("resumed", {"step": 4})
    train(tmp_path / "whole", config)
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path)[name], value), name


def test_old_checkpoints_are_pruned_and_time_also_saves(tmp_path: Path) -> None:
    rule = CheckpointConfig(every_steps=1000, every_seconds=0.0, keep_last=3)
    train(tmp_path, run_config(checkpoint=rule))
    with open_store(str(tmp_path / "store"), holder="test") as store:
        assert [info.step for info in store.list()] == [9, 8, 7]


def test_random_states_are_functions_of_the_step() -> None:
    draws = []
    for step, rank in ((3, 0), (3, 0), (4, 0), (3, 1)):
        seed_everything(7, step, rank)
        draws.append(float(torch.rand(1)))
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_batches_are_made_ahead_and_their_errors_surface() -> None:
    def load(step: int) -> int:
        if step == 5:
            raise UniaudioError("no such item")
        return step * 10

    taken = []
    with Prefetched(load, 3, 9, 10.0) as batches, pytest.raises(UniaudioError, match="no such item"):
        taken.extend(batches)
    with Prefetched(load, 3, 5, 10.0) as batches:
        assert list(batches) == [(3, 30), (4, 40)]


def test_a_batch_that_never_comes_is_given_up() -> None:
    released = threading.Event()
    with Prefetched(lambda _step: released.wait(30), 0, 2, 0.05) as batches:
        with pytest.raises(DeadlineError, match="batch of step 0"):
            next(batches)
        released.set()


def test_the_shares_of_a_step_are_its_items() -> None:
    stage = ToyStage(ToyConfig(), 0)
    whole = stage.batch(3, Share())
    parts = [stage.batch(3, Share(index=index, count=4)) for index in range(4)]
    assert sorted(map(tuple, torch.cat([part.points for part in parts]).tolist())) == sorted(
        map(tuple, whole.points.tolist())
    )


class _AwayAfter:
    """A store that takes some checkpoints and then cannot be reached."""

    def __init__(self, store: CheckpointStore, num_saves: int) -> None:
        self._store, self._num_saves = store, num_saves

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        self._num_saves -= 1
        return self._store.save(*args, **kwargs) if self._num_saves >= 0 else _Failed()


class _Failed:
    def wait(self, timeout_seconds: float) -> None:
        raise UnavailableError("the store is away")
