"""Measures a result against what was asked: duration, pitch and level. Waveforms are 16 kHz mono."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uniaudio.audio.samples import Samples, mean_amplitude
from uniaudio.editing.amounts import factor_to_decibels
from uniaudio.editing.f0 import HOP, track_f0
from uniaudio.editing.plan import EditKind

FloatArray = npt.NDArray[np.float32]
_MIN_VOICED_FRAMES = 20  # 0.2 s of voiced speech
_SILENCE = 1e-6  # mean amplitude


class Verdict(enum.IntEnum):
    """How a check ended; the numbers are those of the contract."""

    PASSED = 1
    FAILED = 2
    SKIPPED = 3


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something that was measured; numbers in `unit`, `tolerance` the largest difference that passes."""

    name: str
    verdict: Verdict
    expected: float
    measured: float = 0.0
    tolerance: float
    unit: str
    detail: str


@dataclass(frozen=True)
class Tolerances:
    """How far from asked a result may be."""

    duration_ratio: float
    semitones: float
    decibels: float


EXACT = Tolerances(duration_ratio=0.0, semitones=0.5, decibels=0.1)
MODEL = Tolerances(duration_ratio=0.05, semitones=1.0, decibels=1.5)


def check_edit(
    kind: EditKind, value: float, source: FloatArray, result: FloatArray, tolerances: Tolerances = EXACT
) -> list[Check]:
    """The checks that fit the kind: none for kinds that have no number to measure."""
    if kind is EditKind.SPEED:
        return [
            check_duration(source, result, 1 / value, tolerances.duration_ratio),
            check_pitch(source, result, 0.0, tolerances.semitones, rate=value),
        ]
    if kind is EditKind.PITCH:
        return [
            check_duration(source, result, 1.0, tolerances.duration_ratio),
            check_pitch(source, result, value, tolerances.semitones),
        ]
    if kind is EditKind.VOLUME:
        return [
            check_volume(source, result, value, tolerances.decibels),
            check_duration(source, result, 1.0, tolerances.duration_ratio),
        ]
    return []


def check_duration(source: Samples, result: Samples, expected: float, tolerance: float) -> Check:
    """Result length over source length; half a sample of rounding always passes."""
    measured = result.size / source.size
    rounding = 0.5 / source.size
    return _judge(
        "duration_ratio", expected, measured, tolerance + rounding, "times the source",
        f"{source.size / 16_000:.3f} s became {result.size / 16_000:.3f} s",
    )  # fmt: skip


def check_pitch(
    source: FloatArray, result: FloatArray, expected: float, tolerance: float, rate: float = 1.0
) -> Check:
    """Median pitch change in semitones over the frames that are voiced in both.

    `rate` is how many times faster the result runs, so that frames meet their counterparts.
    """
    before, after = track_f0(source), track_f0(result)
    if not before.size or not after.size:
        return _skip("pitch_shift", expected, tolerance, "semitones", "too short to measure a pitch")
    counterpart = np.minimum(np.round(np.arange(after.size) * rate).astype(int), before.size - 1)
    change = 12 * np.log2(after / before[counterpart])
    change = change[np.isfinite(change)]
    if change.size < _MIN_VOICED_FRAMES:
        seconds = change.size * HOP / 16_000
        return _skip(
            "pitch_shift", expected, tolerance, "semitones", f"only {seconds:.2f} s are voiced in both"
        )
    return _judge(
        "pitch_shift", expected, float(np.median(change)), tolerance, "semitones",
        f"median of {change.size * HOP / 16_000:.2f} s of voiced speech",
    )  # fmt: skip


def check_volume(source: Samples, result: Samples, factor: float, tolerance: float) -> Check:
    """Change of the mean amplitude in dB."""
    expected = factor_to_decibels(factor)
    before, after = mean_amplitude(source), mean_amplitude(result)
    if before < _SILENCE or after < _SILENCE * min(1.0, factor):
        return _skip("volume_change", expected, tolerance, "dB", "silence has no level to compare")
    return _judge(
        "volume_change", expected, factor_to_decibels(after / before), tolerance, "dB",
        f"mean amplitude {before:.4f} became {after:.4f}",
    )  # fmt: skip


def _judge(name: str, expected: float, measured: float, tolerance: float, unit: str, detail: str) -> Check:
    verdict = Verdict.PASSED if abs(measured - expected) <= tolerance + 1e-12 else Verdict.FAILED
    return Check(
        name=name, verdict=verdict, expected=expected, measured=measured, tolerance=tolerance, unit=unit,
        detail=detail,
    )  # fmt: skip


def _skip(name: str, expected: float, tolerance: float, unit: str, why: str) -> Check:
    return Check(
        name=name, verdict=Verdict.SKIPPED, expected=expected, tolerance=tolerance, unit=unit, detail=why
    )
