"""Exact edits are exact: in length to the sample, in pitch, in level; the checks measure it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.editing.voices import SAMPLE_RATE, read_speech, vowels
from uniaudio.editing.checks import Verdict, check_edit, check_pitch
from uniaudio.editing.exact import apply_exact
from uniaudio.editing.f0 import track_f0
from uniaudio.editing.limiter import CEILING, limit_peaks
from uniaudio.editing.plan import EditKind
from uniaudio.errors import InvalidAudioError, LimitExceededError, UnknownInstructionError

pytest.importorskip("python_stretch")
pytest.importorskip("pyworld")

VOICE = vowels("01234")
RECORDINGS = ("00004768-00000024.wav", "BAC009S0915W0292.wav")
CHANGES = [
    (EditKind.SPEED, 0.5), (EditKind.SPEED, 0.7), (EditKind.SPEED, 1.7), (EditKind.PITCH, -6.0),
    (EditKind.PITCH, 3.0), (EditKind.PITCH, 12.0), (EditKind.VOLUME, 0.3), (EditKind.VOLUME, 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), CHANGES)
def test_a_synthetic_voice_passes_every_check(kind: EditKind, value: float) -> None:
    result = apply_exact(VOICE, kind, value)
    checks = check_edit(kind, value, VOICE, result.waveform)
    assert [check.verdict for check in checks] == [Verdict.PASSED] * 2, checks
    assert not result.warnings


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize(("kind", "value"), CHANGES[1:6:2] + CHANGES[-1:])
def test_a_recording_passes_every_check(kind: EditKind, value: float, name: str, shared_dir) -> None:
    source = read_speech(shared_dir, name)
    checks = check_edit(kind, value, source, apply_exact(source, kind, value).waveform)
    assert [check.verdict for check in checks] == [Verdict.PASSED] * 2, checks


@pytest.mark.parametrize("factor", [0.25, 0.7, 0.9, 1.1, 1.3, 4.0])
@pytest.mark.parametrize("num_samples", [1, 7, 1000, 16_001])
def test_speed_is_exact_to_the_sample(factor: float, num_samples: int) -> None:
    result = apply_exact(VOICE[2000 : 2000 + num_samples], EditKind.SPEED, factor).waveform
    assert result.size == max(1, round(num_samples / factor))
    assert np.isfinite(result).all()


def test_speed_keeps_events_in_place() -> None:
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[8000] = 0.5
    result = apply_exact(click, EditKind.SPEED, 0.5).waveform
    assert abs(int(np.abs(result).argmax()) - 16_000) < 160


@pytest.mark.parametrize(("kind", "value"), [(EditKind.SPEED, 1), (EditKind.PITCH, 0), (EditKind.VOLUME, 1)])
def test_no_change_returns_the_source_bit_for_bit(kind: EditKind, value: float) -> None:
    assert np.array_equal(apply_exact(VOICE, kind, value).waveform, VOICE)


def test_pitch_keeps_formants_and_silence() -> None:
    source = np.concatenate([np.zeros(8000, np.float32), vowels("00", seconds=0.5)])
    result = apply_exact(source, EditKind.PITCH, 5.0).waveform
    assert result.size == source.size
    assert not result[:6000].any()
    before, after = _envelope(source[9000:15000]), _envelope(result[9000:15000])
    shifts = range(-12, 13)
    best = max(shifts, key=lambda shift: np.corrcoef(before[12:-12], np.roll(after, -shift)[12:-12])[0, 1])
    assert abs(best) <= 2  # in steps of 2.5 %; moved formants would be 13 steps away


def _envelope(waveform: np.ndarray) -> np.ndarray:
    """Smooth log spectrum on a logarithmic axis from 200 Hz to 4 kHz, steps of 2.5 %."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size), 16_384)) ** 2
    cepstrum = np.fft.irfft(np.log(spectrum + 1e-9))
    cepstrum[70:-70] = 0  # shorter than a period
    return np.interp(
        np.geomspace(200, 4000, 121), np.arange(8193) * SAMPLE_RATE / 16_384, np.fft.rfft(cepstrum).real
    )


def test_long_audio_is_worked_on_in_pieces_without_seams(monkeypatch) -> None:
    from uniaudio.editing import pitch

    monkeypatch.setattr(pitch, "_PIECE", 3 * SAMPLE_RATE)
    source = np.concatenate([vowels("01234", seed=seed) for seed in range(3)])
    result = apply_exact(source, EditKind.PITCH, 3.0).waveform
    edge = pitch._piece_end(source, 0)
    jumps = np.abs(np.diff(result[edge - 400 : edge + 400]))
    assert jumps.max() <= np.abs(np.diff(result)).max()
    assert check_pitch(source, result, 3.0, 0.5).verdict is Verdict.PASSED


def test_volume_that_would_clip_is_limited_and_said() -> None:
    result = apply_exact(VOICE, EditKind.VOLUME, 6.0)
    assert float(np.abs(result.waveform).max()) <= CEILING + 1e-6
    assert "would clip" in result.warnings[0]
    assert check_edit(EditKind.VOLUME, 6.0, VOICE, result.waveform)[0].verdict is Verdict.FAILED


def test_the_limiter_leaves_quiet_parts_alone() -> None:
    waveform = np.full(1600, 0.5, np.float32)
    waveform[800] = 2.0
    limited, num_limited = limit_peaks(waveform)
    assert float(limited.max()) <= CEILING + 1e-6
    assert np.array_equal(limited[:600], waveform[:600])
    assert 0 < num_limited < 400


@pytest.mark.parametrize(
    ("waveform", "kind", "value", "error"),
    [
        (np.zeros(0, np.float32), EditKind.SPEED, 2.0, InvalidAudioError),
        (np.full(10, np.nan, np.float32), EditKind.SPEED, 2.0, InvalidAudioError),
        (VOICE, EditKind.SPEED, 9.0, LimitExceededError),
        (VOICE, EditKind.PITCH, float("nan"), LimitExceededError),
        (VOICE, EditKind.DENOISE, 1.0, UnknownInstructionError),
    ],
)
def test_impossible_edits_are_refused(waveform, kind: EditKind, value: float, error: type[Exception]) -> None:
    with pytest.raises(error):
        apply_exact(waveform, kind, value)


def test_checks_find_what_is_wrong() -> None:
    assert check_edit(EditKind.SPEED, 2.0, VOICE, VOICE)[0].verdict is Verdict.FAILED
    assert check_edit(EditKind.PITCH, 4.0, VOICE, VOICE)[1].verdict is Verdict.FAILED
    assert check_edit(EditKind.VOLUME, 0.5, VOICE, VOICE)[0].verdict is Verdict.FAILED
    assert check_edit(EditKind.DENOISE, 0.0, VOICE, VOICE) == []


def test_checks_say_when_nothing_can_be_measured() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * 0.1
    assert check_edit(EditKind.VOLUME, 0.5, silence, silence)[0].verdict is Verdict.SKIPPED
    for unvoiced in (silence, noise, VOICE[:100]):
        check = check_edit(EditKind.PITCH, 3.0, unvoiced, unvoiced)[1]
        assert check.verdict is Verdict.SKIPPED
        assert check.detail


@pytest.mark.parametrize("f0", [70.0, 140.0, 300.0, 600.0])
def test_the_tracker_finds_the_pitch(f0: float) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * f0 * k * time) / k for k in range(1, 6)).astype(np.float32)
    assert np.nanmedian(track_f0(tone)) == pytest.approx(f0, rel=0.005)
