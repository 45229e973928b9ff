"""Speed, pitch and volume by signal processing: exact in length, pitch and level, without a model.

Waveforms are float32 mono at 16 kHz, `(num_samples,)`. See docs/adr/0002-exact-edits.md for the choice of
methods. A change that is none (factor 1, 0 semitones) returns the very samples of the source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uniaudio.editing.amounts import factor_to_decibels
from uniaudio.editing.limiter import CEILING, limit_peaks
from uniaudio.editing.plan import VALUE_RANGES, EditKind
from uniaudio.errors import InvalidAudioError, UnknownInstructionError

SAMPLE_RATE = 16_000
FloatArray = npt.NDArray[np.float32]

# 64 ms blocks every 10 ms: short enough for speech; measured in the ADR.
_STRETCH_BLOCK = 1024
_STRETCH_INTERVAL = 160


@dataclass(frozen=True)
class ExactEdit:
    """The edited waveform `(num_samples,)`, and what the caller should know about it."""

    waveform: FloatArray
    warnings: tuple[str, ...] = ()


def apply_exact(waveform: FloatArray, kind: EditKind, value: float) -> ExactEdit:
    """The waveform with its speed, pitch or volume changed by `value` (factor, semitones, factor).

    Raises InvalidAudioError for an empty or non-finite waveform, LimitExceededError for a value outside
    `plan.VALUE_RANGES`, UnknownInstructionError for other kinds.
    """
    if waveform.ndim != 1 or waveform.size == 0:
        raise InvalidAudioError(
            f"the waveform has shape {waveform.shape}: one channel with samples is needed",
            value=waveform.shape,
            limit="(num_samples,) with at least one sample",
            remedy="mix the recording down to one channel",
        )
    if not np.isfinite(waveform).all():
        raise InvalidAudioError(
            "the waveform holds samples that are not finite: repair the recording",
            value="not finite",
            limit="finite samples",
            remedy="repair the recording",
        )
    if not kind.can_be_exact:
        raise UnknownInstructionError(
            f"{kind.name.lower()} cannot be done by signal processing: use engine model",
            value=kind.name.lower(),
            limit="speed, pitch or volume",
            remedy="use engine model",
        )
    VALUE_RANGES[kind].check(value, kind)
    if value == (0.0 if kind is EditKind.PITCH else 1.0):
        return ExactEdit(waveform)
    if kind is EditKind.SPEED:
        return _without_clipping(change_speed(waveform, value))
    if kind is EditKind.PITCH:
        from uniaudio.editing.pitch import shift_pitch  # loads the vocoder only where it is needed

        return _without_clipping(shift_pitch(waveform, value))
    return change_volume(waveform, value)


def change_speed(waveform: FloatArray, factor: float) -> FloatArray:
    """`round(num_samples / factor)` samples with the pitch kept."""
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch()
    stretch.configure(1, _STRETCH_BLOCK, _STRETCH_INTERVAL)
    stretch.setTimeFactor(factor)
    num_samples = max(1, round(waveform.size / factor))
    tail = np.zeros(int(2 * _STRETCH_BLOCK * max(1.0, factor)) + 1, np.float32)
    stretched: FloatArray = np.asarray(stretch.process(np.concatenate([waveform, tail])[None]), np.float32)
    return np.ascontiguousarray(stretched[0, :num_samples])


def change_volume(waveform: FloatArray, factor: float) -> ExactEdit:
    """Every sample times `factor`; peaks that would clip are turned down smoothly, and it is said."""
    scaled = waveform * np.float32(factor)
    if float(np.abs(scaled).max()) <= 1.0:
        return ExactEdit(scaled)
    limited, num_limited = limit_peaks(scaled)
    before, after = np.abs(waveform).mean(dtype=np.float64), np.abs(limited).mean(dtype=np.float64)
    warning = (
        f"the volume was asked to change by {factor_to_decibels(factor):+.1f} dB, which would clip: peaks were"
        f" turned down to {CEILING:g} in {num_limited / SAMPLE_RATE:.2f} s, the mean amplitude changed by"
        f" {factor_to_decibels(after / before):+.1f} dB"
    )
    return ExactEdit(limited, (warning,))


def _without_clipping(waveform: FloatArray) -> ExactEdit:
    if float(np.abs(waveform).max()) <= 1.0:
        return ExactEdit(waveform)
    limited, num_limited = limit_peaks(waveform)
    return ExactEdit(
        limited, (f"peaks would clip and were turned down in {num_limited / SAMPLE_RATE:.2f} s",)
    )
