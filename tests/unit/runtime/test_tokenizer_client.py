"""Retries are bounded twice: a few for each call, and a share of all calls."""

from __future__ import annotations

import numpy as np
import pytest

from uniaudio.errors import InvalidInputError
from uniaudio.runtime.tokenizer_client import RetryBudget, TokenizerClient


def test_the_budget_runs_dry_and_fills_with_calls() -> None:
    budget = RetryBudget(ratio=0.5, allowance=2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.record_call()
    assert not budget.take()
    budget.record_call()
    assert budget.take()


def test_the_budget_never_exceeds_its_allowance() -> None:
    budget = RetryBudget(ratio=1.0, allowance=3)
    for _ in range(100):
        budget.record_call()
    assert sum(budget.take() for _ in range(10)) == 3


async def test_shapes_are_checked_before_anything_is_sent() -> None:
    async with TokenizerClient("127.0.0.1:1") as client:
        with pytest.raises(InvalidInputError, match=r"shape \(2, 3\); send \(num_samples,\)"):
            await client.encode(np.zeros((2, 3), np.float32))
        with pytest.raises(InvalidInputError, match=r"send \(num_frames, latent_dim\)"):
            await client.decode(np.zeros(3, np.float32))
        with pytest.raises(InvalidInputError, match="allowed: mean, sample"):
            await client.encode(np.zeros(3, np.float32), posterior="mode")  # type: ignore[arg-type]
