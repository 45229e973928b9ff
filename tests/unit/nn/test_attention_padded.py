"""Attention for training gives the numbers of attention for inference, and their gradients."""

import pytest
import torch

from uniaudio.nn.attention import attend, attend_padded


@pytest.mark.parametrize("lengths", [(7, 7), (3, 9, 1), (12,)])
@pytest.mark.parametrize("window_keys", [None, 4])
def test_training_attention_equals_inference(lengths, window_keys):
    generator = torch.Generator().manual_seed(3)
    rows = sum(lengths)
    q = torch.randn(rows, 4, 8, generator=generator)
    k, v = (torch.randn(rows, 2, 8, generator=generator) for _ in range(2))
    expected = attend(q, k, v, lengths, window_keys=window_keys)
    torch.testing.assert_close(attend_padded(q, k, v, lengths, window_keys), expected)


def test_gradients_reach_queries_keys_and_values():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(10, 2, 4, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(3)
    )
    assert torch.autograd.gradcheck(
        lambda *x: attend_padded(*x, (6, 4), 3), (q, k, v), atol=1e-2, rtol=1e-2, eps=1e-3
    )
