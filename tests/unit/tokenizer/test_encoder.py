"""The encoder: causal, windowed as the config says, and the same numbers in any chunks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_tokenizer import BACKBONE, PLAIN_CAUSAL, noise, small_tokenizer
from uniaudio.errors import CheckpointError, InvalidAudioError, InvalidInputError, LimitExceededError
from uniaudio.tokenizer import AudioTokenizer

SAME = {"atol": 2e-5, "rtol": 0.0}
TOKENIZERS = {
    "windowed": small_tokenizer(),
    "plain": small_tokenizer(encoder=PLAIN_CAUSAL),
    "mixed": small_tokenizer(encoder=replace(BACKBONE, max_window_layers=1)),
    "overlapping frames": small_tokenizer(input_dim=19),
    "frames with gaps": small_tokenizer(input_dim=5),
}


def stream(tokenizer: AudioTokenizer, waveform: torch.Tensor, chunks: list[int]) -> torch.Tensor:
    state, means, start = tokenizer.new_encoder_state(), [], 0
    for index, size in enumerate(chunks):
        last = index == len(chunks) - 1
        piece = waveform[start:] if last else waveform[start : start + size]
        means.append(tokenizer.encode_stream([piece], [state], [last])[0].mean)
        start += size
    return torch.cat(means)


@pytest.mark.parametrize("num_samples", [1, 7, 8, 9, 8 * 50 + 3])
def test_frames_are_the_samples_over_the_hop_rounded_up(num_samples: int) -> None:
    posterior = TOKENIZERS["windowed"].encode(noise(2, num_samples))
    assert posterior.mean.shape == posterior.std.shape == (2, -(-num_samples // 8), 6)


def test_later_samples_never_change_earlier_frames() -> None:
    waveform = noise(1, 8 * 60)
    changed = waveform.clone()
    changed[0, 8 * 45 :] += 1
    before, after = (TOKENIZERS["windowed"].encode(w).mean for w in (waveform, changed))
    torch.testing.assert_close(before[:, :45], after[:, :45], **SAME)
    assert (before[:, 45] - after[:, 45]).abs().max() > 1e-3


def test_padding_in_a_batch_is_harmless() -> None:
    waveform = noise(2, 8 * 50)
    waveform[1, 8 * 20 - 3 :] = 0
    together = TOKENIZERS["windowed"].encode(waveform).mean[1, :20]
    alone = TOKENIZERS["windowed"].encode(waveform[1:, : 8 * 20 - 3]).mean[0]
    torch.testing.assert_close(together, alone, **SAME)


def test_the_two_windows_differ_only_beyond_the_window() -> None:
    waveform = noise(1, 8 * 60)
    wide, narrow = (small_tokenizer(window_keys=keys).encode(waveform).mean for keys in (33, 32))
    torch.testing.assert_close(wide[:, :32], narrow[:, :32], **SAME)
    assert (wide[:, 32:] - narrow[:, 32:]).abs().max() > 1e-4
    assert torch.equal(wide, small_tokenizer().encode(waveform).mean)


def test_a_frame_sees_exactly_its_window() -> None:
    """With one layer, a change 33 frames back is visible in frame 33 only if the window has 34 keys."""
    one_layer = replace(BACKBONE, num_layers=1)
    waveform = noise(1, 8 * 40)
    changed = waveform.clone()
    changed[0, :8] += 1
    for keys in (32, 33):
        tokenizer = small_tokenizer(window_keys=keys, encoder=one_layer)
        moved = (tokenizer.encode(waveform).mean - tokenizer.encode(changed).mean)[0].abs().amax(-1) > 1e-6
        assert moved.tolist() == [True] * keys + [False] * (40 - keys)


def test_layers_that_are_windowed() -> None:
    three = replace(BACKBONE, num_layers=3, max_window_layers=2)
    assert three.windows(None) == three.windows(33) == (None, None, 33)
    assert three.windows(32) == (32, 32, 32)
    assert replace(three, sliding_window=None).windows(32) == (None, None, None)
    assert replace(three, sliding_window=8, max_window_layers=0).windows(None) == (9, 9, 9)
    with pytest.raises(CheckpointError, match="window_keys 40 does not go with sliding_window 32: use 33"):
        three.windows(40)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=15, deadline=None)
@given(chunks=st.lists(st.integers(0, 90), min_size=1, max_size=12), num_samples=st.integers(1, 500))
def test_any_chunks_are_the_whole(name: str, chunks: list[int], num_samples: int) -> None:
    tokenizer, waveform = TOKENIZERS[name], noise(1, num_samples)
    streamed = stream(tokenizer, waveform[0], chunks)
    torch.testing.assert_close(streamed, tokenizer.encode(waveform).mean[0], **SAME)


def test_streams_in_company_are_streams_alone() -> None:
    tokenizer, waveforms = TOKENIZERS["windowed"], noise(3, 600)
    states = [tokenizer.new_encoder_state() for _ in waveforms]
    tokenizer.encode_stream([waveforms[0, :200]], states[:1], [False])  # the first is ahead
    together = tokenizer.encode_stream([waveforms[0, 200:], *waveforms[1:]], states, [True, False, True])
    for index, (waveform, start) in enumerate(zip(waveforms, (25, 0, 0), strict=True)):
        alone = tokenizer.encode(waveform[None]).mean[0, start:]
        torch.testing.assert_close(together[index].mean, alone, **SAME)


def test_a_windowed_stream_stays_bounded() -> None:
    tokenizer, state = TOKENIZERS["windowed"], TOKENIZERS["windowed"].new_encoder_state()
    for _ in range(60):
        tokenizer.encode_stream([torch.ones(43)], [state], [False])
    assert state.cache.num_positions == 60 * 43 // 8
    assert state.pending.shape[0] < 8
    assert all(layer.keys is not None and layer.keys.shape[1] <= 80 for layer in state.cache.layers)
    assert tokenizer.max_encode_stream_frames is None


def test_a_stream_without_windows_ends_at_its_limit_and_says_so() -> None:
    tokenizer, state = TOKENIZERS["plain"], TOKENIZERS["plain"].new_encoder_state()
    assert tokenizer.max_encode_stream_frames == 30_000
    state.cache.num_positions = 29_999
    tokenizer.encode_stream([torch.ones(8)], [state], [False])
    with pytest.raises(LimitExceededError, match=r"reaches 30001 frames.*streams end at 30000"):
        tokenizer.encode_stream([torch.ones(8)], [state], [False])
    assert state.cache.num_positions == 30_000


def test_an_empty_stream_gives_no_frames_and_an_ended_one_refuses() -> None:
    tokenizer, state = TOKENIZERS["windowed"], TOKENIZERS["windowed"].new_encoder_state()
    (posterior,) = tokenizer.encode_stream([torch.zeros(0)], [state], [True])
    assert posterior.mean.shape == (0, 6)
    with pytest.raises(InvalidInputError, match="has ended"):
        tokenizer.encode_stream([torch.zeros(8)], [state], [False])


def test_an_empty_waveform_is_refused() -> None:
    with pytest.raises(InvalidAudioError, match=r"\(1, 0\)"):
        TOKENIZERS["windowed"].encode(torch.zeros(1, 0))


@pytest.mark.parametrize("name", ["windowed", "plain"])
def test_long_input_in_blocks_is_one_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, waveform = TOKENIZERS[name], noise(2, 8 * 120 - 5)
    whole = tokenizer.encode(waveform)
    monkeypatch.setattr("uniaudio.tokenizer.model._BLOCK_FRAMES", 50)
    torch.testing.assert_close(tokenizer.encode(waveform).mean, whole.mean, **SAME)
