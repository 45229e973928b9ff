"""The semantic module: the whole past in any chunks, whatever the backbones' window."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_tokenizer import noise, small_tokenizer

SAME = {"atol": 2e-5, "rtol": 0.0}
SEMANTIC = small_tokenizer().semantic


@settings(max_examples=15, deadline=None)
@given(chunks=st.lists(st.integers(0, 15), min_size=1, max_size=10).filter(any))
def test_any_chunks_are_the_whole(chunks: list[int]) -> None:
    latents, cache = noise(sum(chunks), 6), SEMANTIC.new_cache()
    streamed = torch.cat([SEMANTIC(piece, [len(piece)], [cache]) for piece in latents.split(chunks)])
    torch.testing.assert_close(streamed, SEMANTIC(latents, [len(latents)]), **SAME)
    assert cache.num_positions == sum(chunks)


def test_sequences_in_company_are_sequences_alone() -> None:
    latents, caches = noise(70, 6), [SEMANTIC.new_cache() for _ in range(2)]
    first = SEMANTIC(latents[:30], [30], caches[:1])
    together = SEMANTIC(latents[30:], [5, 35], caches)
    torch.testing.assert_close(torch.cat((first, together[:5])), SEMANTIC(latents[:35], [35]), **SAME)
    torch.testing.assert_close(together[5:], SEMANTIC(latents[35:], [35]), **SAME)


def test_it_sees_the_entire_past() -> None:
    latents = noise(200, 6)
    changed = latents.clone()
    changed[0] += 3
    moved = (SEMANTIC(latents, [200]) - SEMANTIC(changed, [200])).abs().amax(-1)
    assert moved[-1] > 1e-6


@pytest.mark.parametrize("window_keys", [32, 33])
def test_the_window_setting_has_no_effect(window_keys: int) -> None:
    latents = noise(60, 6)
    other = small_tokenizer(window_keys=window_keys).semantic
    assert torch.equal(other(latents, [60]), SEMANTIC(latents, [60]))
