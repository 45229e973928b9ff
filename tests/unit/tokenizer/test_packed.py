"""A packed tokenizer gives what the plain one gives, whole and streamed, alone and in company."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.small_tokenizer import BACKBONE, PLAIN_CAUSAL, noise, small_tokenizer
from uniaudio.nn.native.library import kernels_reason
from uniaudio.nn.native.packed import Precision
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.packed import pack_tokenizer

pytestmark = pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))

SAME = {"atol": 5e-5, "rtol": 0.0}
VARIANTS = {
    "windowed": {},
    "plain": {"encoder": PLAIN_CAUSAL, "decoder": PLAIN_CAUSAL},
    "mixed": {"decoder": replace(BACKBONE, max_window_layers=1)},
    "other width": {"decoder": replace(BACKBONE, hidden_size=48, num_kv_heads=1, head_dim=12)},
}


def packed_tokenizer(name: str, precision: Precision = Precision.FLOAT32) -> AudioTokenizer:
    tokenizer = small_tokenizer(**VARIANTS[name])
    pack_tokenizer(tokenizer, precision)
    return tokenizer


@pytest.mark.parametrize("name", VARIANTS)
def test_whole_recordings_are_the_plain_ones(name: str) -> None:
    plain, packed = small_tokenizer(**VARIANTS[name]), packed_tokenizer(name)
    waveforms = noise(2, 8 * 300)
    torch.testing.assert_close(packed.encode(waveforms).mean, plain.encode(waveforms).mean, **SAME)
    latents = noise(2, 300, 6)
    torch.testing.assert_close(packed.decode(latents), plain.decode(latents), **SAME)


@pytest.mark.parametrize("name", VARIANTS)
@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=1, max_size=12),
    st.sampled_from([0, 300]),
)
def test_streams_beside_each_other_are_the_whole_ones(
    name: str, chunks: list[list[int]], long_chunk: int
) -> None:
    tokenizer = packed_tokenizer(name)
    chunks = [*chunks, [long_chunk, 5, 1]]
    latents = [noise(sum(row[i] for row in chunks), 6, seed=i) for i in range(3)]
    states = [tokenizer.new_decoder_state() for _ in range(3)]
    made: list[list[Tensor]] = [[], [], []]
    for index, row in enumerate(chunks):
        taken = [sum(before[i] for before in chunks[:index]) for i in range(3)]
        pieces = [latents[i][taken[i] : taken[i] + row[i]] for i in range(3)]
        last = [index == len(chunks) - 1] * 3
        for samples, out in zip(tokenizer.decode_stream(pieces, states, last), made, strict=True):
            out.append(samples)
    for samples, whole in zip(made, latents, strict=True):
        if len(whole):
            torch.testing.assert_close(torch.cat(samples), tokenizer.decode(whole[None])[0], **SAME)


def test_endless_streams_keep_their_blocks_few() -> None:
    tokenizer = packed_tokenizer("windowed")
    state = tokenizer.new_decoder_state()
    for index in range(120):
        tokenizer.decode_stream([noise(5, 6, seed=index)], [state], [False])
    assert tokenizer.max_decode_stream_frames is None
    assert len(state.cache.blocks) <= 20


def test_bfloat16_is_near() -> None:
    plain, packed = small_tokenizer(), packed_tokenizer("windowed", Precision.BFLOAT16)
    latents = noise(1, 100, 6)
    expected = plain.decode(latents)
    assert (packed.decode(latents) - expected).square().mean() < 0.01 * expected.square().mean()
