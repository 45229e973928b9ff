"""Packed attention against the textbook formula, for every window, grouping, cache and block edge."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_tokenizer import noise
from uniaudio.nn.attention import LayerCache, attend


def textbook(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window_keys: int | None) -> torch.Tensor:
    """One sequence, positions first, everything in float64 with an explicit mask."""
    repeats = q.shape[1] // k.shape[1]
    q, k, v = q.double(), k.double().repeat_interleave(repeats, 1), v.double().repeat_interleave(repeats, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    distance = torch.arange(len(k) - len(q), len(k))[:, None] - torch.arange(len(k))
    hidden = (distance < 0) | (distance >= (window_keys or len(k) + 1))
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(hidden, -torch.inf).softmax(-1), v)


@pytest.mark.parametrize("window_keys", [None, 1, 5, 32, 33, 300])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 33, 255, 256, 257, 600])
def test_one_call_is_the_textbook_formula(length: int, num_kv_heads: int, window_keys: int | None) -> None:
    q, k, v = (
        noise(length, 4, 8),
        noise(length, num_kv_heads, 8, seed=2),
        noise(length, num_kv_heads, 8, seed=3),
    )
    out = attend(q, k, v, [length], window_keys=window_keys)
    torch.testing.assert_close(out.double(), textbook(q, k, v, window_keys), atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    chunks=st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any),
    window_keys=st.sampled_from([None, 1, 4, 33]),
)
def test_cached_chunks_are_the_textbook_formula(chunks: list[int], window_keys: int | None) -> None:
    total = sum(chunks)
    q, k, v = noise(total, 4, 8), noise(total, 2, 8, seed=2), noise(total, 2, 8, seed=3)
    cache, spans = LayerCache(), zip(*(x.split(chunks) for x in (q, k, v)), strict=True)
    pieces = [attend(*span, [len(span[0])], [cache], window_keys) for span in spans]
    expected = textbook(q, k, v, window_keys)
    torch.testing.assert_close(torch.cat(pieces).double(), expected, atol=1e-5, rtol=0)
    if window_keys is not None:
        assert cache.length <= window_keys - 1


def test_packed_sequences_do_not_see_each_other() -> None:
    q, k, v = noise(12, 4, 8), noise(12, 2, 8, seed=2), noise(12, 2, 8, seed=3)
    together = attend(q, k, v, [5, 0, 7])
    alone = torch.cat([attend(q[:5], k[:5], v[:5], [5]), attend(q[5:], k[5:], v[5:], [7])])
    assert torch.equal(together, alone)
