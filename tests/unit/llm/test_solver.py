"""Known answers of the time grid, and what the sampler promises (specification appendices C and E)."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import FlowHeadConfig
from uniaudio.llm.flow_head import FlowHead, PatchConstants, time_features
from uniaudio.llm.solver import SolverOptions, solve, time_grid

SWAYED = (
    0, 0.004815273, 0.019214720, 0.043059664, 0.076120467, 0.168530388, 0.292893219, 0.444429767, 0.617316568,
    0.804909678, 1,
)  # fmt: skip
STEP_SIZES = (
    0.004815273, 0.014399446, 0.023844945, 0.033060803, 0.092409920, 0.124362831, 0.151536548, 0.172886801,
    0.187593110, 0.195090322,
)  # fmt: skip
NOISE_STD = (
    0.021246926, 0.036741640, 0.047280689, 0.055672707, 0.093077548, 0.107976921, 0.119191239, 0.127311184,
    0.132615437, 0.135239483,
)  # fmt: skip


class CountingHead(FlowHead):
    """A flow head that counts rows it evaluated."""

    num_rows = 0

    def velocity_at(self, x: Tensor, time_row: Tensor, constants: PatchConstants) -> Tensor:
        self.num_rows += len(x)
        return super().velocity_at(x, time_row, constants)


@pytest.fixture(scope="module")
def head() -> CountingHead:
    torch.manual_seed(0)
    return CountingHead(
        FlowHeadConfig(latent_dim=6, patch_size=3, condition_dim=10, hidden_size=16, depth=2, num_heads=2)
    )


def inputs(batch: int = 2, num_steps: int = 10) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((batch, 10), (batch, 3, 6), (batch, 3, 6), (num_steps, batch, 3, 6))
    condition, history, initial, steps = (torch.randn(shape, generator=generator) for shape in shapes)
    return condition, history, initial, steps


def test_the_default_grid_has_the_published_times_steps_and_noise() -> None:
    times = time_grid(10)
    steps = [after - now for now, after in itertools.pairwise(times)]
    assert times == pytest.approx(SWAYED, abs=1e-9)
    assert steps == pytest.approx(STEP_SIZES, abs=1e-9)
    assert [0.25 * math.sqrt(1.5 * step) for step in steps] == pytest.approx(NOISE_STD, abs=1e-9)


@pytest.mark.parametrize("num_steps", [1, 2, 5, 6, 7, 8, 10, 12, 16, 64])
def test_every_grid_rises_from_0_to_1(num_steps: int) -> None:
    times = time_grid(num_steps)
    assert len(times) == num_steps + 1
    assert (times[0], times[-1]) == (0, pytest.approx(1))
    assert all(now < after for now, after in itertools.pairwise(times))


def test_unlisted_step_counts_use_a_uniform_grid_before_the_sway() -> None:
    assert time_grid(8) == pytest.approx([1 - math.cos(math.pi * i / 16) for i in range(9)])


@pytest.mark.parametrize("num_steps", [0, 65, -1])
def test_step_counts_outside_the_limits_are_refused(num_steps: int) -> None:
    with pytest.raises(InvalidInputError, match="between 1 and 64"):
        time_grid(num_steps)


@pytest.mark.parametrize("field", ["guidance_scale", "temperature", "sigma"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_options_must_be_finite_and_not_negative(field: str, value: float) -> None:
    with pytest.raises(InvalidInputError, match=field):
        SolverOptions(**{field: value})


def test_the_published_weight_is_one_below_ours() -> None:
    assert SolverOptions.from_published(2.0) == SolverOptions(guidance_scale=3.0)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0.0, (0, 0, 0, 0, 1, 1, 1)),
        (0.5, (-0.467772, 0.066711, -0.866419, 0.049979, -0.883849, 0.997772, 0.998750)),
    ],
)
def test_time_features_have_the_published_values(time: float, expected: tuple[float, ...]) -> None:
    features = time_features(torch.tensor([time]))[0, [0, 1, 2, 127, 128, 129, 255]]
    assert features.tolist() == pytest.approx(expected, abs=5e-5)


def test_the_last_steps_noise_has_no_effect(head: CountingHead) -> None:
    condition, history, initial, steps = inputs()
    with_ten = solve(head, condition, history, initial, steps)
    assert torch.equal(with_ten, solve(head, condition, history, initial, steps[:9]))
    other = torch.cat((steps[:8], -steps[8:]))
    assert not torch.equal(with_ten, solve(head, condition, history, initial, other))


def test_temperature_0_is_deterministic(head: CountingHead) -> None:
    condition, history, initial, steps = inputs()
    options = SolverOptions(temperature=0.0)
    out = solve(head, condition, history, initial, steps, options)
    assert torch.equal(out, solve(head, condition, history, initial, -5 * steps, options))


def test_guidance_1_evaluates_the_condition_alone_once_per_step(head: CountingHead) -> None:
    condition, history, initial, steps = inputs()
    head.num_rows = 0
    alone = solve(head, condition, history, initial, steps, SolverOptions(guidance_scale=1.0))
    assert head.num_rows == 2 * 10
    head.num_rows = 0
    nearly = solve(head, condition, history, initial, steps, SolverOptions(guidance_scale=1.0 + 1e-9))
    assert head.num_rows == 2 * 2 * 10
    torch.testing.assert_close(alone, nearly, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0, 7.0])
def test_guidance_is_linear_between_the_two_velocities(head: CountingHead, scale: float) -> None:
    """In one step: the result moves on a line from the unconditional (0) through the conditional (1)."""
    condition, history, initial, steps = inputs(num_steps=1)
    at_zero, at_one, at_scale = (
        solve(head, condition, history, initial, steps, SolverOptions(guidance_scale=g, num_steps=1))
        for g in (0.0, 1.0, scale)
    )
    torch.testing.assert_close(at_scale, at_zero + scale * (at_one - at_zero), atol=1e-5, rtol=1e-5)
    assert not torch.equal(at_zero, at_one)


def test_rows_are_independent_and_may_have_options_of_their_own(head: CountingHead) -> None:
    condition, history, initial, steps = inputs()
    options = [SolverOptions(guidance_scale=2.0), SolverOptions(guidance_scale=1.0, temperature=0.0)]
    together = solve(head, condition, history, initial, steps, options)
    for row in range(2):
        one = slice(row, row + 1)
        alone = solve(head, condition[one], history[one], initial[one], steps[:, one], options[row])
        torch.testing.assert_close(together[one], alone, atol=1e-5, rtol=1e-5)


def test_rows_of_one_call_share_the_number_of_steps(head: CountingHead) -> None:
    condition, history, initial, steps = inputs()
    with pytest.raises(ValueError, match="one num_steps"):
        solve(head, condition, history, initial, steps, [SolverOptions(), SolverOptions(num_steps=5)])


@torch.no_grad()
def test_a_zero_condition_is_not_no_condition(head: CountingHead) -> None:
    """The projection's bias stays: taking it away changes the velocity."""
    _, history, x, _ = inputs()
    time, zero = torch.full((2,), 0.4), torch.zeros(2, 10)
    before = head.velocity(x, time, zero, history)
    kept = head.condition_embedding.bias.data.clone()
    head.condition_embedding.bias.data.zero_()
    without = head.velocity(x, time, zero, history)
    head.condition_embedding.bias.data.copy_(kept)
    assert not torch.allclose(before, without)


@torch.no_grad()
def test_history_matters_and_the_batch_may_be_permuted(head: CountingHead) -> None:
    condition, history, x, _ = inputs()
    time = torch.tensor([0.2, 0.7])
    out = head.velocity(x, time, condition, history)
    assert not torch.allclose(out, head.velocity(x, time, condition, torch.zeros_like(history)))
    swapped = head.velocity(x.flip(0), time.flip(0), condition.flip(0), history.flip(0))
    torch.testing.assert_close(swapped.flip(0), out, atol=1e-5, rtol=1e-5)
