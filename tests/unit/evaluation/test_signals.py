"""Signal metrics at their known points."""

from __future__ import annotations

import numpy as np
import pytest

from uniaudio.evaluation.signals import (
    amplitude_error,
    duration_error,
    pesq_wideband,
    pitch_error,
    remove_delay,
    si_sdr,
    stoi,
)

RATE = 16_000


def voice(seconds: float = 2.0, f0: float = 120.0) -> np.ndarray:
    """Something that speech measures take for speech: a buzzing source in syllables, formants moving."""
    times = np.arange(round(seconds * RATE)) / RATE
    source = sum(np.sin(2 * np.pi * f0 * k * times + k) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 3 * times), 0, None) ** 0.5
    colour = 1 + 0.5 * np.sin(2 * np.pi * 5 * times) * np.sin(2 * np.pi * 900 * times)
    waveform = source * syllables * colour
    return (0.3 * waveform / np.abs(waveform).max()).astype(np.float32)


def noisy(waveform: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(waveform))
    gain = np.sqrt(np.mean(waveform**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return (waveform + gain * noise).astype(np.float32)


def test_duration_error_is_relative_to_the_source() -> None:
    assert duration_error(4.0, 7.6, 0.5) == pytest.approx(0.10)


def test_amplitude_error_is_relative_to_the_source() -> None:
    source = voice()
    assert amplitude_error(source, (0.68 * source).astype(np.float32), 0.6).value == pytest.approx(0.08)
    assert amplitude_error(np.zeros(100, np.float32), source, 1).value is None


def test_pitch_error_in_cents() -> None:
    shifted = voice(f0=120 * 2 ** (3 / 12))
    assert pitch_error(voice(), shifted, 3).value == pytest.approx(0, abs=10)
    assert pitch_error(voice(), voice(), 3).value == pytest.approx(300, abs=10)
    assert pitch_error(voice(), np.zeros(RATE, np.float32), 0).value is None


def test_a_delay_is_found_and_removed() -> None:
    source = voice()
    for delay in (0, 137, -80):
        moved = np.concatenate([np.zeros(delay, np.float32), source]) if delay >= 0 else source[-delay:]
        aligned = remove_delay(source, moved)
        assert aligned.delay_seconds == pytest.approx(delay / RATE)
        assert np.array_equal(aligned.reference, aligned.degraded)


def test_a_recording_is_like_itself() -> None:
    source = voice()
    assert (pesq_wideband(source, source).value or 0) >= 4.6
    assert (stoi(source, source).value or 0) >= 0.999
    assert (si_sdr(source, source).value or 0) > 100


def test_everything_falls_with_noise() -> None:
    source = voice()
    for measure in (pesq_wideband, stoi, si_sdr):
        values = [measure(source, noisy(source, snr)).value for snr in (20, 5)]
        assert None not in values
        assert values[0] > values[1], measure.__name__  # type: ignore[operator]
    assert si_sdr(source, noisy(source, 20)).value == pytest.approx(20, abs=0.3)


@pytest.mark.parametrize("length", [RATE, 2000])
def test_what_cannot_be_judged_has_no_value(length: int) -> None:
    silence, source = np.zeros(length, np.float32), voice()[:length]
    for measure in (pesq_wideband, stoi, si_sdr):
        measured = measure(silence, source)
        assert measured.value is None
        assert measured.reason
    if length == 2000:
        assert pesq_wideband(source, source).value is None
