"""Rates follow their schedules, norms are clipped as one vector, and vectors are not decayed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.config import OptimizerConfig
from training.loop.optimizer import PlayerOptimizer, rate_factor
from training.stage import Player
from uniaudio.errors import InvalidInputError


def player_of(config: OptimizerConfig, **modules: nn.Module) -> PlayerOptimizer:
    return PlayerOptimizer(Player(name="model", modules=modules, optimizer=config), num_steps=100)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("constant", 0, 0.1),
        ("constant", 9, 1.0),
        ("constant", 99, 1.0),
        ("cosine", 4, 0.5),
        ("cosine", 10, 1.0),
        ("cosine", 55, 0.6),
        ("cosine", 100, 0.2),
    ],
)
def test_rates_warm_up_and_fall(schedule: str, step: int, expected: float) -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=10, schedule=schedule, final_fraction=0.2)
    assert rate_factor(config, step, 100) == pytest.approx(expected)


def test_the_longest_prefix_gives_the_rate() -> None:
    rates = (("model.0", 0.5), ("model.0.bias", 0.25))
    optimizer = player_of(
        OptimizerConfig(learning_rate=1.0, per_module=rates),
        model=nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
    )
    optimizer.move(0, 0.0)
    assert optimizer.rates() == {"": 1.0, "model.0": 0.5, "model.0.bias": 0.25}


def test_a_prefix_that_fits_nothing_is_refused() -> None:
    config = OptimizerConfig(learning_rate=1.0, per_module=(("model.wieght", 0.5),))
    with pytest.raises(InvalidInputError, match=r"model\.wieght.*model\.bias, model\.weight"):
        player_of(config, model=nn.Linear(2, 2))


def test_frozen_players_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no parameter that requires gradients"):
        player_of(OptimizerConfig(learning_rate=1.0), model=nn.Linear(2, 2).requires_grad_(False))


def test_matrices_decay_and_vectors_do_not() -> None:
    linear = nn.Linear(2, 2)
    nn.init.ones_(linear.weight)
    nn.init.ones_(linear.bias)
    optimizer = player_of(OptimizerConfig(learning_rate=0.1, weight_decay=0.5), model=linear)
    for parameter in linear.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.move(0, 0.0)
    assert torch.allclose(linear.weight, torch.full((2, 2), 0.95))
    assert torch.equal(linear.bias, torch.ones(2))


def test_gradients_are_clipped_to_the_norm_that_is_given() -> None:
    linear = nn.Linear(1, 1)
    optimizer = player_of(OptimizerConfig(learning_rate=0.1, clip_norm=2.0), model=linear)
    for parameter in linear.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    optimizer.move(0, gradient_norm=4.0)  # as if other ranks held more
    assert linear.weight.grad is not None
    assert float(linear.weight.grad) == pytest.approx(1.5)


def test_players_take_turns_at_gradients() -> None:
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    config = OptimizerConfig(learning_rate=0.1)
    players = [player_of(config, first=first), player_of(config, second=second)]
    players[0].begin(players)
    second(first(torch.ones(1))).sum().backward()
    assert first.weight.grad is not None
    assert second.weight.grad is None
    players[1].begin(players)
    second(first(torch.ones(1))).sum().backward()
    assert second.weight.grad is not None


def test_a_shared_module_is_trained_once() -> None:
    shared = nn.Linear(2, 2)
    optimizer = player_of(
        OptimizerConfig(learning_rate=0.1), one=shared, two=nn.Sequential(shared, nn.Linear(2, 2))
    )
    assert list(optimizer.parameters) == ["one.weight", "one.bias", "two.1.weight", "two.1.bias"]
