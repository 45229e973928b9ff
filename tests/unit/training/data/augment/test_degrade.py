"""Rooms, codecs and their mixture: lengths and places stay, and a seed repeats every bit."""

import numpy as np
import pytest

from training.data.augment.codecs import CODECS, transcode
from training.data.augment.degrade import Degradation, degrade
from training.data.augment.reverb import reverberate, room_response
from uniaudio.errors import InvalidInputError


def speech_like(num_samples=24000, seed=0):
    rng = np.random.default_rng(seed)
    envelope = np.interp(
        np.arange(num_samples), np.arange(0, num_samples, 1500), rng.random(num_samples // 1500)
    )
    tone = sum(np.sin(2 * np.pi * 140 * k * np.arange(num_samples) / 16000) / k for k in range(1, 12))
    return (0.2 * envelope * tone).astype(np.float32)


def lag(reference, other):
    spectrum = np.fft.rfft(other, 2 * reference.size) * np.fft.rfft(reference, 2 * reference.size).conj()
    shift = int(np.fft.irfft(spectrum).argmax())
    return shift if shift < reference.size else shift - 2 * reference.size


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_codec_changes_the_sound_but_neither_length_nor_place(codec):
    rng = np.random.default_rng(0)
    waveform = speech_like() + rng.normal(0, 0.01, 24000).astype(np.float32)
    coded = transcode(waveform, codec, 0.5)
    assert coded.shape == waveform.shape
    assert not np.array_equal(coded, waveform)
    assert abs(lag(waveform, coded)) <= 2
    assert np.corrcoef(coded, waveform)[0, 1] > 0.9
    assert coded.tobytes() == transcode(waveform, codec, 0.5).tobytes()


def test_an_unknown_codec_is_named_with_the_known_ones():
    with pytest.raises(InvalidInputError, match=r"'amr'.*mu-law"):
        transcode(speech_like(), "amr")


def test_a_room_decays_by_60_db_in_its_time_and_delays_nothing():
    response = room_response(0.5, 0.0, np.random.default_rng(0))
    early, late = response[800:1600], response[-800:]
    fall = 10 * np.log10(np.mean(early**2) / np.mean(late**2))
    assert fall == pytest.approx(60 * (0.475 - 0.075) / 0.5, abs=2)
    assert response.argmax() == 0
    waveform = speech_like()
    wet = reverberate(waveform, np.random.default_rng(1))
    assert wet.shape == waveform.shape
    assert abs(lag(waveform, wet)) <= 2
    assert np.mean(wet**2) == pytest.approx(np.mean(waveform**2), rel=1e-3)


def test_degrading_repeats_and_stays_in_range():
    waveform = speech_like()
    for seed in range(12):
        one, again = (
            degrade(waveform, np.random.default_rng(seed), voices=[speech_like(seed=9)]) for _ in "ab"
        )
        assert one.tobytes() == again.tobytes()
        assert one.shape == waveform.shape
        assert one.dtype == np.float32
        assert np.abs(one).max() <= 1.0


def test_with_nothing_asked_for_the_recording_comes_back():
    nothing = Degradation(reverb=0, noise=0, codec=0, gain=0)
    waveform = speech_like()
    np.testing.assert_array_equal(degrade(waveform, np.random.default_rng(0), nothing), waveform)


def test_silence_stays_silence():
    assert not degrade(np.zeros(1000, np.float32), np.random.default_rng(0)).any()
