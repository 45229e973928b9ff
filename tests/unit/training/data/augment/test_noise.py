"""Noises: the asked-for length, unit power, their own colour, and the same bytes from the same seed."""

import numpy as np
import pytest

from training.data.augment.mix import active_power, fit_length, lower_together, mix_at_snr
from training.data.augment.noise import NOISES, babble
from uniaudio.errors import InvalidAudioError, InvalidInputError


def band_power(waveform, low, high):
    power = np.abs(np.fft.rfft(waveform)) ** 2
    hertz = np.fft.rfftfreq(waveform.size, 1 / 16000)
    return power[(hertz >= low) & (hertz < high)].sum()


@pytest.mark.parametrize("name", sorted(NOISES))
def test_a_noise_has_its_length_unit_power_and_is_repeatable(name):
    one, again, other = (NOISES[name](20000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.dtype == np.float32
    assert one.shape == (20000,)
    assert np.mean(np.square(one)) == pytest.approx(1.0, rel=1e-3)
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize(("name", "slope_db"), [("white", 3.0), ("pink", 0.0), ("brown", -3.0)])
def test_colours_differ_in_their_power_per_octave(name, slope_db):
    noise = NOISES[name](160000, np.random.default_rng(0))
    step = 10 * np.log10(band_power(noise, 1000, 2000) / band_power(noise, 500, 1000))
    assert step == pytest.approx(slope_db, abs=0.5)


def test_hum_stands_on_the_harmonics_of_the_mains():
    noise = NOISES["hum"](160000, np.random.default_rng(3))
    on = max(band_power(noise, f - 1, f + 1) for f in (50, 60))
    assert on > 20 * band_power(noise, 52, 58)


def test_rain_is_high_and_wind_is_low():
    rain, wind = (NOISES[name](64000, np.random.default_rng(0)) for name in ("rain", "wind"))
    assert band_power(rain, 1000, 8000) > 0.6 * band_power(rain, 0, 8001)
    assert band_power(wind, 0, 1000) > 0.9 * band_power(wind, 0, 8001)


def test_babble_needs_voices_and_holds_all_of_them():
    voices = [np.sin(2 * np.pi * f * np.arange(8000) / 16000).astype(np.float32) for f in (300, 700)]
    crowd = babble(16000, np.random.default_rng(0), voices)
    assert min(band_power(crowd, f - 20, f + 20) for f in (300, 700)) > 0.05 * band_power(crowd, 0, 8000)
    with pytest.raises(InvalidInputError, match="0 voices"):
        babble(16000, np.random.default_rng(0), [])


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5])
def test_a_mix_has_the_ratio_asked_for(snr_db):
    speech = np.concatenate([np.zeros(8000), np.sin(np.arange(8000) * 0.3) * 0.2]).astype(np.float32)
    noise = NOISES["pink"](16000, np.random.default_rng(0))
    added = mix_at_snr(speech, noise, snr_db) - speech
    assert 10 * np.log10(active_power(speech) / active_power(added)) == pytest.approx(snr_db, abs=0.01)


def test_silence_has_no_ratio():
    with pytest.raises(InvalidAudioError, match="silent"):
        mix_at_snr(np.zeros(100, np.float32), np.ones(100, np.float32), 3.0)
    with pytest.raises(InvalidAudioError, match="100 and noise of 99"):
        mix_at_snr(np.ones(100, np.float32), np.ones(99, np.float32), 3.0)


def test_both_sides_are_lowered_by_one_gain_and_only_when_needed():
    loud, soft = np.array([1.9, -0.2], np.float32), np.array([0.5, 0.0], np.float32)
    lowered = lower_together(loud, soft)
    np.testing.assert_allclose(lowered[0], loud / 2, rtol=1e-6)
    np.testing.assert_allclose(lowered[1], soft / 2, rtol=1e-6)
    assert lower_together(soft)[0] is soft


def test_a_short_noise_is_looped_without_a_jump():
    tone = np.sin(2 * np.pi * 100 * np.arange(4096) / 16000).astype(np.float32)
    looped = fit_length(tone, 20000, np.random.default_rng(0))
    assert looped.shape == (20000,)
    assert np.abs(np.diff(looped)).max() < 3 * np.abs(np.diff(tone)).max()
    with pytest.raises(InvalidAudioError, match="1599"):
        fit_length(tone[:1599], 20000, np.random.default_rng(0))
