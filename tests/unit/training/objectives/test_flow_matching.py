"""The flow loss: zero for the true velocity, an expectation that no division changes, weights where asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from training.objectives.flow_matching import (
    FlowMatchingConfig,
    FlowTargets,
    choose_patches,
    draw_targets,
    flow_loss,
)
from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import FlowHeadConfig
from uniaudio.llm.flow_head import FlowHead

PATCH, DIM, HIDDEN = 5, 8, 16


def small_head() -> FlowHead:
    torch.manual_seed(0)
    config = FlowHeadConfig(
        latent_dim=DIM, patch_size=PATCH, condition_dim=HIDDEN, hidden_size=16, depth=2, num_heads=2
    )
    return FlowHead(config)


class TrueVelocity(FlowHead):
    """Knows the latents, which are all `level`, so its velocity is exact; counts its zero conditions."""

    def __init__(self, level: float) -> None:
        super().__init__(small_head().config)
        self.level, self.num_unconditional = level, 0

    def velocity(self, x: Tensor, flow_time: Tensor, condition: Tensor, history: Tensor) -> Tensor:
        self.num_unconditional += int((condition == 0).all(-1).sum())
        time = flow_time[:, None, None]
        return (self.level - x) / (1 - time)


def targets(config: FlowMatchingConfig, num_patches: int = 6, level: float | None = None) -> FlowTargets:
    rng = np.random.default_rng(3)
    shape = (num_patches, PATCH, DIM)
    latents = rng.standard_normal(shape, dtype=np.float32)
    if level is not None:
        latents = np.full(shape, level, np.float32)
    history = np.zeros(shape, np.float32)
    return draw_targets(rng, latents, history, np.ones(shape[:2], np.float32), config)


def test_the_true_velocity_costs_nothing() -> None:
    drawn = targets(FlowMatchingConfig(num_draws=3), level=0.7)
    head = TrueVelocity(0.7)
    loss = flow_loss(head, torch.ones(6, HIDDEN), drawn, drawn.noise.numel())
    assert loss < 1e-8
    assert head.num_unconditional == int(drawn.dropped.sum())


def test_parts_add_up_to_the_whole() -> None:
    config, head = FlowMatchingConfig(num_draws=2), small_head()
    first, second = targets(config, 4), targets(config, 3)
    both = FlowTargets.joined([first, second])
    condition = torch.randn(7, HIDDEN)
    count = both.noise.numel()
    whole = flow_loss(head, condition, both, count)
    parts = flow_loss(head, condition[:4], first, count) + flow_loss(head, condition[4:], second, count)
    torch.testing.assert_close(whole, parts)


def test_weights_of_frames_and_channels_scale_their_errors() -> None:
    head, drawn = small_head(), targets(FlowMatchingConfig())
    condition, count = torch.randn(6, HIDDEN), drawn.noise.numel()
    plain = flow_loss(head, condition, drawn, count)
    drawn.weights.fill_(3.0)
    torch.testing.assert_close(flow_loss(head, condition, drawn, count), 3 * plain)
    drawn.weights.fill_(1.0)
    halves = [
        flow_loss(head, condition, drawn, count, weights)
        for weights in ((1.0,) * 4 + (0.0,) * 4, (0.0,) * 4 + (5.0,) * 4)
    ]
    torch.testing.assert_close(sum(halves), 2 * plain)


def test_as_many_patches_are_chosen_as_counted() -> None:
    config = FlowMatchingConfig(num_draws=4, patch_fraction=0.34)
    for num_patches in (1, 2, 7, 40):
        chosen = choose_patches(np.random.default_rng(0), num_patches, config)
        assert len(chosen) == config.num_chosen(num_patches) >= 1
        assert (np.diff(chosen) > 0).all()
        assert config.num_values(num_patches, PATCH, DIM) == 4 * len(chosen) * PATCH * DIM


@pytest.mark.parametrize("times", ["uniform", "log-normal"])
def test_times_have_their_distribution_and_a_patchs_draws_spread_over_it(times: str) -> None:
    config = FlowMatchingConfig(num_draws=4, times=times, condition_dropout=0.2)  # type: ignore[arg-type]
    drawn = targets(config, 4000)
    time = drawn.flow_time
    assert ((time > 0) & (time < 1)).all()
    assert (time.max(0).values - time.min(0).values > 0.2).all()
    assert abs(float(time.mean()) - 0.5) < 0.01
    middle = float(((time > 0.25) & (time < 0.75)).float().mean())
    assert abs(middle - (0.5 if times == "uniform" else 0.728)) < 0.01
    assert abs(float(drawn.dropped.float().mean()) - 0.2) < 0.02


def test_both_ways_of_attention_agree() -> None:
    head, drawn = small_head(), targets(FlowMatchingConfig())
    condition = torch.randn(6, HIDDEN)
    trained = flow_loss(head, condition, drawn, 1)
    with torch.no_grad():
        served = flow_loss(head, condition, drawn, 1)
    torch.testing.assert_close(trained.detach(), served, rtol=1e-5, atol=0)


@pytest.mark.parametrize("wrong", [{"num_draws": 0}, {"patch_fraction": 0.0}, {"condition_dropout": 1.0}])
def test_impossible_values_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        FlowMatchingConfig(**wrong)  # type: ignore[arg-type]
