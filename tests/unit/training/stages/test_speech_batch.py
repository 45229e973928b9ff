"""Utterances of a step: a pure function of seed and step, divided among shares without remainder."""

import numpy as np
import pytest
import torch

from tests.spoken_corpus import WhistledCorpus
from training.stage import Share, to_device
from training.stages.characters import decode_characters, decode_ctc, encode_characters
from training.stages.speech_batch import SpeechBatches, pack
from uniaudio.errors import InvalidInputError


@pytest.fixture
def batches():
    return SpeechBatches(WhistledCorpus(), seed=3, batch_size=5, noise_dim=2)


def test_a_batch_is_a_pure_function_of_the_step(batches):
    again = SpeechBatches(WhistledCorpus(), seed=3, batch_size=5, noise_dim=2)
    first, second = batches.batch(7, Share()), again.batch(7, Share())
    assert torch.equal(first.waveform, second.waveform)
    assert torch.equal(first.noise, second.noise)
    assert batches.plan(7).indices != batches.plan(8).indices


def test_shares_hold_what_the_whole_holds(batches):
    whole = batches.batch(1, Share())
    shares = [batches.batch(1, Share(index=i, count=2)) for i in range(2)]
    assert sum(sum(share.lengths) for share in shares) == batches.plan(1).num_frames
    pieces = {}
    for share in shares:
        split = torch.split(share.noise, list(share.lengths))
        for position, (noise, waveform) in enumerate(zip(split, share.waveform, strict=True)):
            pieces[shares.index(share) + 2 * position] = (noise, waveform)
    for position, expected in enumerate(torch.split(whole.noise, list(whole.lengths))):
        noise, waveform = pieces[position]
        assert torch.equal(noise, expected)
        assert torch.equal(waveform, whole.waveform[position, : len(waveform)])


def test_a_share_may_be_empty(batches):
    empty = batches.batch(1, Share(index=7, count=8))
    assert empty.waveform.shape == (0, 0)
    assert empty.noise.shape == (0, 2)


def test_the_longest_comes_first_and_padding_is_silence(batches):
    batch = batches.batch(2, Share())
    assert list(batch.lengths) == sorted(batch.lengths, reverse=True)
    assert batch.waveform.shape[1] == 320 * batch.lengths[0]
    shortest = batches.corpus.num_samples(batch.indices[-1])
    assert not batch.waveform[-1, shortest:].any()


def test_evaluations_see_the_same_every_time(batches):
    first, second = batches.fixed_batches(12), batches.fixed_batches(12)
    assert [len(b.indices) for b in first] == [5, 5, 2]
    assert all(torch.equal(a.noise, b.noise) for a, b in zip(first, second, strict=True))
    np.testing.assert_array_equal(
        first[0].waveform[0, : batches.corpus.num_samples(0)], batches.corpus.waveform(0)
    )


def test_long_utterances_are_left_out_and_none_left_is_refused():
    corpus = WhistledCorpus()
    some = SpeechBatches(corpus, seed=0, batch_size=50, max_frames=21)
    assert max(some.num_frames(i) for i in some.plan(0).indices) <= 21
    with pytest.raises(InvalidInputError, match="1 to 10 frames"):
        SpeechBatches(corpus, seed=0, batch_size=5, max_frames=10)


def test_a_batch_goes_to_a_device_whole(batches):
    moved = to_device(batches.batch(0, Share()), torch.device("meta"))
    assert moved.waveform.is_meta
    assert moved.lengths == batches.batch(0, Share()).lengths


def test_pack_leaves_the_padding_out():
    padded = torch.arange(12).view(2, 3, 2)
    assert pack(padded, [3, 1]).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_letters_and_back():
    assert decode_characters(encode_characters("it's 10")) == "it's 10"
    with pytest.raises(InvalidInputError, match="'É'"):
        encode_characters("É")


def test_ctc_merges_what_no_blank_parts():
    a, b = encode_characters("ab")
    assert decode_ctc([0, a, a, 0, a, b, b, 0]) == "aab"
    assert decode_ctc([]) == ""


def test_batches_by_length_bound_the_padded_size_and_see_everything_once():
    corpus = WhistledCorpus()
    batches = SpeechBatches(corpus, seed=0, batch_size=6, padded_frames=100)
    seen, step = [], 0
    while len(seen) < len(corpus):
        batch, plan = batches.batch(step, Share()), batches.plan(step)
        assert len(batch.lengths) * max(batch.lengths) <= 100
        assert len(batches.fractions(step, Share(index=1, count=2))) == len(plan.indices) // 2
        assert plan.num_frames == sum(batch.lengths)
        seen += batch.indices
        step += 1
    assert sorted(seen) == list(range(len(corpus)))
