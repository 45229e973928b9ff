"""The decoder: the same samples in any chunks, none lost, and nothing of the semantic module."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_tokenizer import BACKBONE, PLAIN_CAUSAL, noise, small_tokenizer
from uniaudio.errors import InvalidInputError, LimitExceededError
from uniaudio.tokenizer import AudioTokenizer

SAME = {"atol": 2e-5, "rtol": 0.0}
TOKENIZERS = {
    "windowed": small_tokenizer(),
    "plain": small_tokenizer(decoder=PLAIN_CAUSAL),
    "mixed": small_tokenizer(decoder=replace(BACKBONE, max_window_layers=1)),
    "other width": small_tokenizer(decoder=replace(BACKBONE, hidden_size=48, num_kv_heads=1, head_dim=12)),
}


def stream(tokenizer: AudioTokenizer, latents: torch.Tensor, chunks: list[int]) -> list[torch.Tensor]:
    state, pieces, start = tokenizer.new_decoder_state(), [], 0
    for index, size in enumerate(chunks):
        last = index == len(chunks) - 1
        piece = latents[start:] if last else latents[start : start + size]
        pieces.append(tokenizer.decode_stream([piece], [state], [last])[0])
        start += size
    return pieces


@pytest.mark.parametrize("num_frames", [1, 2, 3, 50])
def test_every_frame_is_a_hop_of_samples(num_frames: int) -> None:
    waveform = TOKENIZERS["windowed"].decode(noise(2, num_frames, 6))
    assert waveform.shape == (2, 8 * num_frames)
    assert waveform.isfinite().all()


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=15, deadline=None)
@given(chunks=st.lists(st.integers(0, 12), min_size=1, max_size=12), num_frames=st.integers(1, 60))
def test_any_chunks_are_the_whole(name: str, chunks: list[int], num_frames: int) -> None:
    tokenizer, latents = TOKENIZERS[name], noise(1, num_frames, 6)
    streamed = torch.cat(stream(tokenizer, latents[0], chunks))
    torch.testing.assert_close(streamed, tokenizer.decode(latents)[0], **SAME)


def test_a_first_chunk_of_one_frame_works() -> None:
    tokenizer, latents = TOKENIZERS["windowed"], noise(1, 6, 6)
    pieces = stream(tokenizer, latents[0], [1, 1, 1, 3])
    assert [len(piece) for piece in pieces] == [0, 4, 8, 24 + 12]
    torch.testing.assert_close(torch.cat(pieces), tokenizer.decode(latents)[0], **SAME)


def test_a_last_chunk_without_frames_flushes() -> None:
    tokenizer, latents = TOKENIZERS["windowed"], noise(1, 10, 6)
    pieces = stream(tokenizer, latents[0], [5, 5, 0])
    assert [len(piece) for piece in pieces] == [28, 40, 12]
    torch.testing.assert_close(torch.cat(pieces), tokenizer.decode(latents)[0], **SAME)


def test_a_stream_that_never_said_anything_ends_silently() -> None:
    tokenizer, state = TOKENIZERS["windowed"], TOKENIZERS["windowed"].new_decoder_state()
    (piece,) = tokenizer.decode_stream([torch.zeros(0, 6)], [state], [True])
    assert piece.shape == (0,)
    with pytest.raises(InvalidInputError, match="has ended"):
        tokenizer.decode_stream([torch.zeros(1, 6)], [state], [True])


def test_streams_in_company_are_streams_alone() -> None:
    tokenizer, latents = TOKENIZERS["windowed"], noise(3, 60, 6)
    states = [tokenizer.new_decoder_state() for _ in latents]
    head = tokenizer.decode_stream([latents[0, :45]], states[:1], [False])[0]
    rest = tokenizer.decode_stream([latents[0, 45:], latents[1], latents[2, :0]], states, [True, True, False])
    torch.testing.assert_close(torch.cat((head, rest[0])), tokenizer.decode(latents[:1])[0], **SAME)
    torch.testing.assert_close(rest[1], tokenizer.decode(latents[1:2])[0], **SAME)
    assert rest[2].shape == (0,)


def test_the_semantic_module_takes_no_part() -> None:
    tokenizer, latents = small_tokenizer(), noise(1, 50, 6)
    before = tokenizer.decode(latents)
    for name, parameter in tokenizer.semantic.named_parameters():
        if not name.startswith("projection."):
            parameter.data.normal_()
    assert torch.equal(tokenizer.decode(latents), before)


def test_a_windowed_stream_stays_bounded() -> None:
    tokenizer, state = TOKENIZERS["windowed"], TOKENIZERS["windowed"].new_decoder_state()
    for _ in range(60):
        tokenizer.decode_stream([torch.ones(5, 6)], [state], [False])
    assert state.cache.num_positions == 300
    assert all(layer.keys is not None and layer.keys.shape[1] <= 80 for layer in state.cache.layers)
    assert tokenizer.max_decode_stream_frames is None


def test_a_stream_without_windows_ends_at_its_limit_and_says_so() -> None:
    tokenizer, state = TOKENIZERS["plain"], TOKENIZERS["plain"].new_decoder_state()
    state.cache.num_positions = 29_998
    with pytest.raises(LimitExceededError, match="streams end at 30000"):
        tokenizer.decode_stream([torch.ones(3, 6)], [state], [False])


@pytest.mark.parametrize("shape", [(1, 3, 5), (3, 6), (1, 0, 6)])
def test_latents_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="latents"):
        TOKENIZERS["windowed"].decode(torch.zeros(shape))


@pytest.mark.parametrize("name", ["windowed", "plain"])
def test_long_input_in_blocks_is_one_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, latents = TOKENIZERS[name], noise(2, 120, 6)
    whole = tokenizer.decode(latents)
    monkeypatch.setattr("uniaudio.tokenizer.model._BLOCK_FRAMES", 50)
    torch.testing.assert_close(tokenizer.decode(latents), whole, **SAME)


def test_bfloat16_stays_close_and_its_head_float32() -> None:
    exact, rough = small_tokenizer(), small_tokenizer()
    rough.encoder.bfloat16()
    rough.decoder.backbone.bfloat16()
    rough.decoder.projection.bfloat16()
    waveform, latents = noise(1, 8 * 50), noise(1, 50, 6)
    out = rough.decode(latents)
    assert out.dtype == torch.float32
    assert (out - exact.decode(latents)).abs().max() < 0.1 * exact.decode(latents).abs().max()
    difference = rough.encode(waveform).mean - exact.encode(waveform).mean
    assert difference.abs().max() < 0.1 * exact.encode(waveform).mean.abs().max()
