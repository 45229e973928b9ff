from __future__ import annotations

import numpy as np
import pytest

from uniaudio.audio.samples import Part, SpooledSamples, blocks_of, mean_amplitude, peak_of
from uniaudio.editing.exact import apply_exact
from uniaudio.editing.limiter import limit_peaks, limit_windows
from uniaudio.editing.plan import EditKind
from uniaudio.editing.windowed import apply_exact_windowed, change_speed_windows
from uniaudio.errors import UnknownInstructionError

RATE = 16_000


def voice(seconds: float, *, level: float = 0.3) -> np.ndarray:
    """Vowels of a falling pitch, with a pause of 0.3 s after each second or so."""
    times = np.arange(int(seconds * RATE)) / RATE
    pitch = 140 + 20 * np.sin(2 * np.pi * times / 3)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(n * phase) / n for n in range(1, 8))
    open_mouth = (times % 1.3 < 1.0) * np.clip(np.minimum(times % 1.3, 1.0 - times % 1.3) * 20, 0, 1)
    return (level * tone / 2 * open_mouth).astype(np.float32)


def test_samples_on_disk_are_those_that_were_added() -> None:
    added = np.random.default_rng(0).standard_normal(5_000_000, np.float32)
    with SpooledSamples() as samples:
        for start in range(0, len(added), 700_000):
            samples.append(added[start : start + 700_000])
        assert (len(samples), samples.size) == (5_000_000, 5_000_000)
        assert np.array_equal(samples[:], added)
        assert np.array_equal(samples[4_999_990:6_000_000], added[-10:])
        assert np.array_equal(samples[-5:-2], added[-5:-2])
        assert len(samples[9:3]) == 0
        assert np.array_equal(np.concatenate(list(blocks_of(samples))), added)
        part = Part(samples, 100, 1_100)
        assert (len(part), np.array_equal(part[10:20], added[110:120])) == (1_000, True)
        assert peak_of(samples) == np.abs(added).max()
        assert mean_amplitude(samples) == pytest.approx(np.abs(added).mean(dtype=np.float64))


@pytest.mark.parametrize(("kind", "value"), [(EditKind.VOLUME, 0.5), (EditKind.VOLUME, 6.0)])
def test_volume_is_the_wholes_sample_for_sample(kind: EditKind, value: float) -> None:
    source = voice(130.0)
    whole, windowed = apply_exact(source, kind, value), apply_exact_windowed(source, kind, value)
    with windowed.waveform as result:
        assert np.abs(result[:] - whole.waveform).max() <= 6e-8
    assert windowed.warnings == whole.warnings


def test_peaks_are_turned_down_as_in_the_whole() -> None:
    loud = 3 * np.random.default_rng(1).standard_normal(12_000 * 80 + 12_345, np.float32)
    whole, count = limit_peaks(loud)
    windows = list(limit_windows(loud))
    assert np.abs(np.concatenate([window for window, _ in windows]) - whole).max() <= 6e-8
    assert sum(number for _, number in windows) == count


def test_pitch_is_the_wholes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uniaudio.editing.pitch._PIECE", 3 * RATE)
    source = voice(7.0)
    with SpooledSamples() as samples:
        samples.append(source)
        with apply_exact_windowed(samples, EditKind.PITCH, 3.0).waveform as result:
            assert np.array_equal(result[:], apply_exact(source, EditKind.PITCH, 3.0).waveform)


@pytest.mark.parametrize("factor", [0.7, 2.0])
def test_speed_has_the_length_and_sound_of_the_whole_at_its_seams(factor: float) -> None:
    source = voice(130.0)
    whole = apply_exact(source, EditKind.SPEED, factor).waveform
    result = np.concatenate(list(change_speed_windows(source, factor)))
    assert len(result) == len(whole) == round(len(source) / factor)
    # The loudness over time is the whole's, at the seams as elsewhere: nothing is lost, doubled or clicks.
    assert np.abs(_levels(result) - _levels(whole)).max() < 0.02
    assert np.abs(np.diff(result)).max() <= 1.3 * np.abs(np.diff(whole)).max()


def _levels(waveform: np.ndarray) -> np.ndarray:
    frames = waveform[: len(waveform) // 800 * 800].reshape(-1, 800)
    return np.sqrt((frames.astype(np.float64) ** 2).mean(axis=1))


def test_what_is_not_exact_is_refused() -> None:
    with pytest.raises(UnknownInstructionError):
        apply_exact_windowed(voice(1.0), EditKind.DENOISE, 1.0)
