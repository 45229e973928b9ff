"""Joins: exact lengths, untouched samples, smooth seams, words that keep their sounds."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.data.speakers import VOICE, ToneSpeaker
from training.data.triplets.splice import boundary, can_cut, head, join, middle, spans, tail
from uniaudio.errors import InvalidAudioError


@pytest.fixture
def spoken():
    return ToneSpeaker().speak("amber birch cedar delta ember", VOICE)


def test_a_recording_cut_and_joined_at_the_same_place_is_itself(spoken):
    for word in range(6):
        joined = join([head(spoken, word), tail(spoken, word)])
        np.testing.assert_allclose(joined.waveform, spoken.waveform, atol=1e-7)
        assert joined.words == spoken.words
        assert joined.text == spoken.text


def test_words_keep_their_sounds_where_they_move(spoken):
    joined = join([head(spoken, 1), middle(spoken, 3, 4), tail(spoken, 1)])
    assert joined.text == "amber delta birch cedar delta ember"
    moved, origin = joined.words[1], spoken.words[3]
    assert moved.end - moved.start == origin.end - origin.start
    np.testing.assert_array_equal(
        joined.waveform[moved.start + 80 : moved.end - 80],
        spoken.waveform[origin.start + 80 : origin.end - 80],
    )


def test_a_crossfade_is_smoother_than_a_hard_cut():
    tone = ToneSpeaker().speak("amber birch", VOICE)
    steady = 0.3 * np.sin(2 * np.pi * 100 * np.arange(tone.waveform.size) / 16000).astype(np.float32)
    spoken = replace(tone, waveform=steady)
    at = boundary(spoken, 1)
    joined = join([head(spoken, 1), middle(spoken, 0, 1), tail(spoken, 1)])
    hard = np.abs(steady[at] - steady[at - 1])
    assert np.abs(np.diff(joined.waveform[at - 200 : at + 200])).max() < hard + 0.05


def test_what_begins_at_a_cut_is_faded_in(spoken):
    joined = join([tail(spoken, 2)])
    assert abs(joined.waveform[0]) < 0.01
    assert joined.text == "cedar delta ember"
    assert joined.words[0].start == 0


def test_cuts_keep_60_ms_from_the_ends_and_spans_last_60_ms(spoken):
    assert [can_cut(spoken, word) for word in range(-1, 7)] == [False, *[True] * 6, False]
    assert set(spans(spoken, 2)) == {(i, j) for i in range(6) for j in range(6) if 1 <= j - i <= 2}


def test_nothing_to_join_is_refused(spoken):
    with pytest.raises(InvalidAudioError, match="0 samples"):
        join([middle(spoken, 2, 2)])
