"""Resumed training is uninterrupted training: bit by bit on one rank, to tolerance on another number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.toy_ranks import NUM_STEPS, Training, run_config, run_on_ranks, weights
from training.config import ParallelConfig
from training.run_folder import RunFolder
from training.stages.toy import ToyConfig

REPLICATED = ParallelConfig(shard=False)
SHARDED = ParallelConfig()
SPREAD = ParallelConfig(expert=2, activation_checkpointing=True)
LAYOUTS = {"replicated": REPLICATED, "sharded": SHARDED, "spread": SPREAD}
CRITIC = ToyConfig(has_critic=True)


@pytest.mark.parametrize("has_critic", [False, True])
@pytest.mark.parametrize("autocast", ["float32", "bfloat16"])
def test_resumed_is_uninterrupted(tmp_path: Path, has_critic: bool, autocast: str) -> None:
    toy, config = ToyConfig(has_critic=has_critic), run_config(autocast=autocast)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert Training(place=whole, config=config, toy=toy).run()
    assert not Training(place=parts, config=config, toy=toy, stop_after=3).run()
    assert not Training(place=parts, config=config, toy=toy, stop_after=2).run()
    assert Training(place=parts, config=config, toy=toy).run()
    expected, found = weights(whole), weights(parts)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    assert numbers(whole, "loss") == numbers(parts, "loss")
    assert numbers(parts, "points_seen") == [72.0 * step for step in range(1, NUM_STEPS + 1)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Path:
    """The toy trained on one rank, on two, and first on one and then on the other."""
    top = tmp_path_factory.mktemp("trained")
    Training(place=top / "one").run()
    Training(place=top / "one-critic", toy=CRITIC).run()
    Training(place=top / "one-few", toy=ToyConfig(num_items=2)).run()
    Training(place=top / "one-part", stop_after=4).run()
    on_two = [Training(place=top / "critic", config=on_two_ranks(SHARDED), toy=CRITIC)]
    # One microbatch of one item: the second rank has nothing of its own to give to the experts.
    few = run_config(num_microbatches=2, parallel=SPREAD)
    on_two.append(Training(place=top / "few", config=few, toy=ToyConfig(num_items=2)))
    for name, layout in LAYOUTS.items():
        config = on_two_ranks(layout)
        shutil.copytree(top / "one-part", top / f"one-{name}")
        on_two.append(Training(place=top / name, config=config))
        on_two.append(Training(place=top / f"one-{name}", config=config))
        on_two.append(Training(place=top / f"{name}-one", config=config, stop_after=4))
    run_on_ranks(on_two, 2, free_port())
    for name in LAYOUTS:
        Training(place=top / f"{name}-one").run()
    return top


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", ["{}", "one-{}", "{}-one"], ids=["two", "one-to-two", "two-to-one"])
def test_the_number_of_ranks_changes_nothing(trained: Path, layout: str, way: str) -> None:
    assert_same_training(trained / "one", trained / way.format(layout))


def test_two_ranks_of_two_players(trained: Path) -> None:
    assert_same_training(trained / "one-critic", trained / "critic")


def test_experts_without_rows(trained: Path) -> None:
    assert_same_training(trained / "one-few", trained / "few")


def on_two_ranks(layout: ParallelConfig) -> object:
    """One microbatch a rank: the same shares as two microbatches of one rank."""
    return run_config(num_microbatches=1, parallel=layout)


def assert_same_training(expected: Path, found: Path) -> None:
    for name in (
        "loss",
        "model/loss",
        "critic/loss",
        "squared_error",
        "gradient_norm",
        "evaluation/squared_error",
    ):
        assert numbers(found, name) == pytest.approx(numbers(expected, name), rel=1e-4, abs=1e-6), name
    mine, others = weights(expected), weights(found)
    assert mine.keys() == others.keys()
    for name, value in mine.items():
        torch.testing.assert_close(others[name], value, rtol=1e-3, atol=2e-5, msg=name)


def numbers(place: Path, name: str) -> list[float]:
    lines = map(json.loads, RunFolder(place / "run").metrics.read_text().splitlines())
    return [line[name] for line in lines if name in line]
