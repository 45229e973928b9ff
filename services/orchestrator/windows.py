"""Where a long recording may be cut: at its pauses, never beyond what the model reads at once."""

from __future__ import annotations

import itertools

import numpy as np

from services.orchestrator.domain import Floats
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.samples import Samples, blocks_of

_PAUSE_FRAMES = 12
"""No closure of a consonant takes a quarter of a second."""
_PAUSE_LEVEL = 0.05
"""26 dB below the loudest twentieth."""
FRAME_SAMPLES = MODEL_SAMPLE_RATE // 50
"""Loudness is measured over 20 ms."""
_SMOOTH_FRAMES = 10
_EARLIEST = 0.6


def frame_levels(waveform: Floats) -> Floats:
    """Root mean square of each whole 20 ms of a waveform `(num_samples,)`, linear."""
    num_frames = len(waveform) // FRAME_SAMPLES
    frames = waveform[: num_frames * FRAME_SAMPLES].reshape(num_frames, FRAME_SAMPLES)
    return np.asarray(np.sqrt((frames.astype(np.float64) ** 2).mean(axis=1)), dtype=np.float32)


def cut_at_pauses(waveform: Samples, max_seconds: float) -> list[tuple[int, int]]:
    """Spans of samples that cover the waveform, each at most `max_seconds`, cut where 200 ms are quietest.

    A cut is looked for in the last two fifths of what still fits; a rest that would be very short is
    avoided by halving what is left.
    """
    max_samples = int(max_seconds * MODEL_SAMPLE_RATE)
    levels = _all_levels(waveform) if len(waveform) > max_samples else np.zeros(0, np.float32)
    spans, start = [], 0
    while len(waveform) - start > max_samples:
        left = len(waveform) - start
        latest = min(max_samples, max(int(left * 0.6), int(max_samples * _EARLIEST) + FRAME_SAMPLES))
        cut = _quietest(levels, start + int(latest * _EARLIEST), start + latest)
        spans.append((start, cut))
        start = cut
    return [*spans, (start, len(waveform))]


def cut_at_every_pause(waveform: Samples, max_seconds: float) -> list[tuple[int, int]]:
    """Spans of samples that cover the waveform, one for each stretch between pauses, each at most `max_seconds`.

    Where there is noise instead of pauses they are cut as `cut_at_pauses` does.
    """
    cuts = [0, *_pauses(waveform), len(waveform)]
    return [
        (start + first, start + last)
        for start, end in itertools.pairwise(cuts)
        for first, last in cut_at_pauses(waveform[start:end], max_seconds)
    ]


def cut(waveform: Samples, max_seconds: float, advised_seconds: float) -> list[tuple[int, int]]:
    """Spans of at most `max_seconds`; of a model that advises less, from pause to pause and at most so long."""
    if 0 < advised_seconds < max_seconds:
        return cut_at_every_pause(waveform, advised_seconds)
    return cut_at_pauses(waveform, max_seconds)


def _all_levels(waveform: Samples) -> Floats:
    return np.concatenate([frame_levels(block) for block in blocks_of(waveform)])


def _pauses(waveform: Samples) -> list[int]:
    """The samples in the middle of each pause between two stretches of sound."""
    if len(waveform) < FRAME_SAMPLES:
        return []
    levels = _all_levels(waveform)
    sounding = np.flatnonzero(levels >= _PAUSE_LEVEL * np.quantile(levels, 0.95))
    gaps = itertools.pairwise(sounding.tolist())
    return [
        (before + after + 1) // 2 * FRAME_SAMPLES for before, after in gaps if after - before > _PAUSE_FRAMES
    ]


def _quietest(levels: Floats, first_sample: int, last_sample: int) -> int:
    """The sample in the middle of the quietest 200 ms between the two."""
    first, last = first_sample // FRAME_SAMPLES, last_sample // FRAME_SAMPLES
    window = levels[first:last]
    if len(window) <= _SMOOTH_FRAMES:
        return last_sample
    smooth = np.convolve(window**2, np.ones(_SMOOTH_FRAMES), "valid")
    return (first + int(smooth.argmin()) + _SMOOTH_FRAMES // 2) * FRAME_SAMPLES
