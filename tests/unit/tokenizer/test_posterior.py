"""The posterior's formulas (model specification 2.3, appendix C)."""

from __future__ import annotations

import torch

from tests.small_tokenizer import noise
from uniaudio.tokenizer import Posterior


def test_std_known_answers() -> None:
    posterior = Posterior.from_parameters(torch.tensor([[0.0, 0, 0, -5, 0, 2]]))
    torch.testing.assert_close(
        posterior.std, torch.tensor([[0.0068153, 0.6932472, 2.1270280]]), atol=1e-6, rtol=0
    )


def test_sample_is_mean_plus_scaled_noise() -> None:
    posterior = Posterior(mean=noise(2, 4, 3), std=noise(2, 4, 3, seed=2).abs())
    assert torch.equal(posterior.sample(torch.zeros(2, 4, 3)), posterior.mean)
    torch.testing.assert_close(posterior.sample(torch.ones(2, 4, 3)), posterior.mean + posterior.std)


def test_draws_follow_the_generator() -> None:
    posterior = Posterior(mean=torch.zeros(4, 3), std=torch.ones(4, 3))
    first, again = (posterior.draw(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)


def test_kl_has_no_half_and_sums_over_channels() -> None:
    standard = Posterior(mean=torch.zeros(2, 5, 3), std=torch.ones(2, 5, 3))
    assert standard.kl() == 0
    shifted = Posterior(mean=torch.full((2, 5, 3), 2.0), std=torch.ones(2, 5, 3))
    torch.testing.assert_close(shifted.kl(), torch.tensor(12.0))


def test_parameters_in_bfloat16_give_a_float32_posterior() -> None:
    posterior = Posterior.from_parameters(noise(4, 6).bfloat16())
    assert posterior.mean.dtype == posterior.std.dtype == torch.float32
