"""The published resampler: lengths, and a tone stays the tone it was."""

from __future__ import annotations

import numpy as np
import pytest

from uniaudio.audio.sinc import resample_sinc
from uniaudio.errors import InvalidInputError


@pytest.mark.parametrize("source_rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000, 44101])
def test_a_tone_keeps_pitch_level_and_length(source_rate: int) -> None:
    num_samples = source_rate // 2 + 1
    times = np.arange(num_samples) / source_rate
    out = resample_sinc(np.sin(2 * np.pi * 440 * times).astype(np.float32), source_rate, 16000)
    assert out.dtype == np.float32
    assert len(out) == -(-num_samples * 16000 // source_rate)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(out)) / 16000)
    assert np.abs(out - expected)[200:-200].max() < 5e-3


def test_channels_are_resampled_alike() -> None:
    stereo = np.random.default_rng(0).standard_normal((2, 700)).astype(np.float32)
    both = resample_sinc(stereo, 24000, 16000)
    assert np.array_equal(both[1], resample_sinc(stereo[1], 24000, 16000))


def test_nothing_in_gives_nothing_out() -> None:
    assert resample_sinc(np.zeros(0, np.float32), 24000, 16000).shape == (0,)


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="from 0 Hz"):
        resample_sinc(np.zeros(5, np.float32), 0, 16000)
