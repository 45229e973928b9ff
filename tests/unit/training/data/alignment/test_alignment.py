"""Known times carried over to another rendering of the same words land where the words are."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.data.speakers import VOICE, ListGrammar, ToneSpeaker
from training.data.alignment import align_words, carry_times, warping_path
from uniaudio.errors import InvalidAudioError, LimitExceededError


@pytest.mark.parametrize("rate", [130, 160, 200])
def test_words_are_found_at_another_rate(rate):
    speaker, rng = ToneSpeaker(), np.random.default_rng(0)
    for _ in range(3):
        text = ListGrammar().sentence(rng)
        known = speaker.speak(text, VOICE)
        heard = speaker.speak(text, replace(VOICE, rate=rate))
        found = align_words(known, heard.waveform)
        assert [word.label for word in found] == text.split()
        errors = [abs(a.start - b.start) / 16 for a, b in zip(found, heard.words, strict=True)]
        assert max(errors[1:]) <= 20


def test_a_recording_is_aligned_with_itself_to_the_sample():
    spoken = ToneSpeaker().speak("amber birch cedar", VOICE)
    for found, word in zip(align_words(spoken, spoken.waveform), spoken.words, strict=True):
        assert abs(found.start - word.start) <= 1


def test_noise_does_not_move_the_words():
    speaker = ToneSpeaker()
    known = speaker.speak("amber birch cedar delta", VOICE)
    heard = speaker.speak("amber birch cedar delta", replace(VOICE, rate=180))
    noisy = heard.waveform + np.random.default_rng(0).normal(0, 0.01, heard.waveform.size).astype(np.float32)
    for found, word in zip(align_words(known, noisy)[1:], heard.words[1:], strict=True):
        assert abs(found.start - word.start) <= 320


def test_rising_times_stay_rising_and_inside():
    speaker = ToneSpeaker()
    one, other = (speaker.speak(text, VOICE).waveform for text in ("amber birch cedar", "north olive pearl"))
    carried = carry_times(one, other, np.arange(0, one.size, 50))
    assert (np.diff(carried) >= 0).all()
    assert carried[0] >= 0
    assert carried[-1] <= other.size


def test_the_path_goes_from_corner_to_corner_along_what_is_cheap():
    rng = np.random.default_rng(0)
    cost = rng.random((7, 9)).astype(np.float32)
    path = warping_path(cost)
    assert tuple(path[0]) == (0, 0)
    assert tuple(path[-1]) == (6, 8)
    assert (np.diff(path, axis=0) >= 0).all()
    diagonal = warping_path(np.where(np.eye(6), 0.0, 1.0).astype(np.float32))
    np.testing.assert_array_equal(diagonal, np.stack([np.arange(6)] * 2, axis=1))


def test_too_short_and_too_long_are_refused():
    second = np.zeros(16000, np.float32)
    with pytest.raises(InvalidAudioError, match="799 samples"):
        carry_times(np.zeros(799, np.float32), second, [0])
    with pytest.raises(LimitExceededError, match=r"20\.0 s is too long"):
        carry_times(second, np.zeros(320001, np.float32), [0])
