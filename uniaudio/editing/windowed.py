"""The exact edits over recordings of any length, in bounded memory: window by window.

What holds at the seams, compared with the edit of the whole in one piece: volume is the same, sample for
sample; pitch is the same, as it always works in pieces; speed has the same length and the same pitch, and
its windows meet in the quietest 20 ms of their last two seconds with a cross-fade of 20 ms, because a phase
vocoder's phases depend on everything before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uniaudio.audio.samples import Samples, SpooledSamples, blocks_of, mean_amplitude, peak_of
from uniaudio.editing.amounts import factor_to_decibels
from uniaudio.editing.exact import SAMPLE_RATE, change_speed
from uniaudio.editing.limiter import CEILING, limit_windows
from uniaudio.editing.pitch import shift_pitch_pieces
from uniaudio.editing.plan import VALUE_RANGES, EditKind
from uniaudio.errors import UnknownInstructionError

FloatArray = npt.NDArray[np.float32]
_WINDOW = 60 * SAMPLE_RATE
_SEARCH = 2 * SAMPLE_RATE
_CONTEXT = SAMPLE_RATE // 2
_FADE = SAMPLE_RATE // 100
_QUIET_SAMPLES = 2 * _FADE


@dataclass(frozen=True)
class WindowedEdit:
    """As ExactEdit, its waveform maybe on a disk: close it."""

    waveform: SpooledSamples
    warnings: tuple[str, ...] = ()


def apply_exact_windowed(samples: Samples, kind: EditKind, value: float) -> WindowedEdit:
    """As `exact.apply_exact`, for a recording that was checked when it was read; the result may lie on a disk."""
    if not kind.can_be_exact:
        raise UnknownInstructionError(
            f"{kind.name.lower()} cannot be done by signal processing: use engine model",
            value=kind.name.lower(),
            limit="speed, pitch or volume",
            remedy="use engine model",
        )
    VALUE_RANGES[kind].check(value, kind)
    if kind is EditKind.VOLUME:
        return _change_volume(samples, value)
    changed = (
        change_speed_windows(samples, value) if kind is EditKind.SPEED else shift_pitch_pieces(samples, value)
    )
    return _without_clipping(_spooled(changed))


def change_speed_windows(samples: Samples, factor: float) -> Iterator[FloatArray]:
    """Pieces of `round(num_samples / factor)` samples in all, the pitch kept."""
    start, tail = 0, np.zeros(0, np.float32)
    while start < len(samples):
        end = _window_end(samples, start)
        first, last = max(0, start - _CONTEXT), min(len(samples), end + _CONTEXT)
        window = change_speed(samples[first:last], factor)
        begin, length = _at(start, factor) - _at(first, factor), _at(end, factor) - _at(start, factor)
        fade = min(_FADE, length) if end < len(samples) else 0
        lead = len(tail) // 2
        piece = _fit(window, begin - lead, lead + length + fade)
        if len(tail):
            rising = ((np.arange(len(tail)) + 0.5) / len(tail)).astype(np.float32)
            piece[: len(tail)] = rising * piece[: len(tail)] + (1 - rising) * tail
        # The last 20 ms around the seam wait for the next window.
        kept = len(piece) - 2 * fade if fade else len(piece)
        yield piece[:kept]
        start, tail = end, piece[kept:]


def _window_end(samples: Samples, start: int) -> int:
    """Where a window ends: a minute on, in the quietest 20 ms of its last two seconds."""
    if len(samples) - start <= _WINDOW + _SEARCH:
        return len(samples)
    search = samples[start + _WINDOW - _SEARCH : start + _WINDOW]
    energy = np.square(search.reshape(-1, _QUIET_SAMPLES)).sum(axis=1)
    return start + _WINDOW - _SEARCH + int(energy.argmin()) * _QUIET_SAMPLES + _FADE


def _at(position: int, factor: float) -> int:
    return round(position / factor)


def _fit(window: FloatArray, start: int, length: int) -> FloatArray:
    """`length` samples from `start` on; rounding may leave the window a sample short."""
    piece = window[start : start + length].copy()
    return np.pad(piece, (0, length - len(piece))) if len(piece) < length else piece


def _change_volume(samples: Samples, factor: float) -> WindowedEdit:
    scaled = _spooled(block * np.float32(factor) for block in blocks_of(samples))
    if peak_of(scaled) <= 1.0:
        return WindowedEdit(scaled)
    limited, num_limited = _limited(scaled)
    change = factor_to_decibels(mean_amplitude(limited) / mean_amplitude(samples))
    warning = (
        f"the volume was asked to change by {factor_to_decibels(factor):+.1f} dB, which would clip: peaks were"
        f" turned down to {CEILING:g} in {num_limited / SAMPLE_RATE:.2f} s, the mean amplitude changed by"
        f" {change:+.1f} dB"
    )
    return WindowedEdit(limited, (warning,))


def _without_clipping(samples: SpooledSamples) -> WindowedEdit:
    if peak_of(samples) <= 1.0:
        return WindowedEdit(samples)
    limited, num_limited = _limited(samples)
    return WindowedEdit(
        limited, (f"peaks would clip and were turned down in {num_limited / SAMPLE_RATE:.2f} s",)
    )


def _limited(samples: SpooledSamples) -> tuple[SpooledSamples, int]:
    limited, num_limited = SpooledSamples(), 0
    with samples:
        for window, count in limit_windows(samples):
            limited.append(window)
            num_limited += count
    return limited, num_limited


def _spooled(pieces: Iterator[FloatArray]) -> SpooledSamples:
    spooled = SpooledSamples()
    for piece in pieces:
        spooled.append(piece)
    return spooled
