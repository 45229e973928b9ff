"""Copies untouched audio through: the source outside an edit, what the model made inside it.

Waveforms are float32 mono at 16 kHz, `(num_samples,)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uniaudio.editing.alignment import SharedEnds, align_ends
from uniaudio.editing.features import FloatArray

_SAMPLE_RATE = 16_000
_FADE = 240  # 15 ms
# A cut may move this far into what both share, to where it is quiet, and this far out of it.
_INWARD, _OUTWARD = 480, 80
_PHASE_SEARCH = 80  # 5 ms either way
_LEVEL_WINDOW = _SAMPLE_RATE
_MAX_GAIN = 4.0
_MIN_CONFIDENCE, _MIN_MATCHED_SHARE = 0.15, 0.25


@dataclass(frozen=True)
class EditedRange:
    """A span that changed: (start, end) in seconds, in the source and in the result."""

    source: tuple[float, float]
    result: tuple[float, float]


@dataclass(frozen=True)
class Splice:
    """The result, and what changed in it.

    With `untouched_copied`, samples outside `ranges` are the source's own, bit for bit. Without, the
    result is the generated audio as it is, one range covers everything, and a warning says why.
    `confidence` is 0 for no likeness to 1 for the same audio.
    """

    waveform: FloatArray
    ranges: tuple[EditedRange, ...]
    untouched_copied: bool
    confidence: float
    warnings: tuple[str, ...] = ()


def copy_untouched(
    source: FloatArray, generated: FloatArray, source_fraction: tuple[float, float] | None = None
) -> Splice:
    """Source before the edit, generated audio in it, source after it, cross-faded and level matched.

    `source_fraction` tells where in the source's speech the edit lies, from 0 to 1, when it is known
    (`target.Resolution.source_fraction`). Where too little of the generated audio is like the source to
    tell the place of the edit, the generated audio is returned in full.
    """
    if source.size < 4 * _FADE or generated.size < 4 * _FADE:
        return whole(source, generated, 0.0, "the audio is too short to copy untouched parts from the source")
    ends = align_ends(source, generated, source_fraction)
    if ends.confidence < _MIN_CONFIDENCE or ends.matched_share < _MIN_MATCHED_SHARE:
        return whole(
            source, generated, ends.confidence,
            "the generated audio is too unlike the source to find where the edit is: all of it is new"
            f" ({100 * ends.matched_share:.0f} % of the source was found again)",
        )  # fmt: skip
    return _join(source, generated, ends)


def put_in(source: FloatArray, generated: FloatArray, place: tuple[int, int], new: tuple[int, int]) -> Splice:
    """The source with what it has at `place` replaced by what `generated` has at `new`, both in samples.

    Cross-faded and level matched as in `copy_untouched`, for callers who know where the words are.
    """
    if source.size < 4 * _FADE or generated.size < 4 * _FADE:
        return whole(source, generated, 0.0, "the audio is too short to copy untouched parts from the source")
    (source_start, source_end), (generated_start, generated_end) = place, new
    ends = SharedEnds(
        source_start=source_start, source_end=source_end, generated_start=generated_start,
        generated_end=generated_end, confidence=1.0, matched_share=1.0,
    )  # fmt: skip
    return _join(source, generated, ends)


def cut_out(source: FloatArray, start: int, end: int) -> Splice:
    """The source without its samples from `start` to `end`; nothing in it is new."""
    half = _FADE // 2
    if start < half:
        head, tail = source[:0], source[end:]
        first, last = 0, end
    elif end > source.size - half:
        head, tail = source[:start], source[:0]
        first, last = start, source.size
    else:
        end = max(end + _phase_shift(source, source, start, end), start)
        first, last = start - half, min(end + half, source.size)
        ramp = ((np.arange(_FADE) + 0.5) / _FADE).astype(np.float32)[: last - end + half]
        seam = (1 - ramp) * source[first : first + ramp.size] + ramp * source[end - half : last]
        head, tail = np.concatenate([source[:first], seam]), source[last:]
    changed = EditedRange(
        (first / _SAMPLE_RATE, last / _SAMPLE_RATE), (first / _SAMPLE_RATE, head.size / _SAMPLE_RATE)
    )
    return Splice(np.concatenate([head, tail]), (changed,), True, 1.0)


def whole(source: FloatArray, generated: FloatArray, confidence: float, warning: str = "") -> Splice:
    """The generated audio in full, as one range."""
    everything = EditedRange((0.0, source.size / _SAMPLE_RATE), (0.0, generated.size / _SAMPLE_RATE))
    return Splice(generated, (everything,), False, confidence, (warning,) if warning else ())


def _join(source: FloatArray, generated: FloatArray, ends: SharedEnds) -> Splice:
    opening = _refine(source, generated, ends.source_start, ends.generated_start)
    # Seen backwards the end is a beginning.
    mirrored = _refine(
        source[::-1], generated[::-1], source.size - ends.source_end, generated.size - ends.generated_end
    )
    closing = source.size - mirrored[0], generated.size - mirrored[1]
    opening, closing = _make_room(opening, closing, (source.size, generated.size))
    half = _FADE // 2
    middle = generated[max(0, opening[1] - half) : closing[1] + half] * _gain(source, generated, ends)

    start, end = max(0, opening[0] - half), min(source.size, closing[0] + half)
    head, tail = source[:start], source[end:]
    ramp = ((np.arange(_FADE) + 0.5) / _FADE).astype(np.float32)
    if start > 0:
        middle[:_FADE] = ramp * middle[:_FADE] + (1 - ramp) * source[start : start + _FADE]
    if end < source.size:
        middle[-_FADE:] = (1 - ramp) * middle[-_FADE:] + ramp * source[end - _FADE : end]
    changed = EditedRange(
        (start / _SAMPLE_RATE, end / _SAMPLE_RATE),
        (start / _SAMPLE_RATE, (start + middle.size) / _SAMPLE_RATE),
    )
    return Splice(np.concatenate([head, middle, tail]), (changed,), True, ends.confidence)


def _make_room(
    opening: tuple[int, int], closing: tuple[int, int], sizes: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Both cuts moved outwards, in both recordings alike, until both fades fit between them."""
    lack = _FADE - min(closing[0] - opening[0], closing[1] - opening[1])
    if lack <= 0:
        return opening, closing
    room_before = max(0, min(opening) - _FADE)
    room_after = max(0, min(sizes[0] - closing[0], sizes[1] - closing[1]) - _FADE)
    after = min(max(lack // 2, lack - room_before), room_after)
    before = min(lack - after, room_before)
    return (opening[0] - before, opening[1] - before), (closing[0] + after, closing[1] + after)


def _refine(
    source: FloatArray, generated: FloatArray, source_cut: int, generated_cut: int
) -> tuple[int, int]:
    """A beginning's cut moved to where both are quiet, then the generated one into phase; (0, 0) for none."""
    if min(source_cut, generated_cut) < _INWARD + _FADE:
        return 0, 0
    length = _INWARD + _OUTWARD
    energy = np.zeros(length)
    for waveform, cut in ((source, source_cut), (generated, generated_cut)):
        window = waveform[cut - _INWARD - _FADE : cut + _OUTWARD + _FADE].astype(np.float64)
        window = np.pad(window, (0, length + 2 * _FADE - window.size))
        smooth = np.convolve(np.square(window), np.ones(2 * _FADE + 1), mode="valid")[:length]
        energy += smooth / (float(np.square(waveform).mean(dtype=np.float64)) + 1e-12)
    moved = int(energy.argmin()) - _INWARD
    source_cut = min(source_cut + moved, source.size)
    generated_cut = min(generated_cut + moved, generated.size)
    return source_cut, generated_cut + _phase_shift(source, generated, source_cut, generated_cut)


def _phase_shift(source: FloatArray, generated: FloatArray, source_cut: int, generated_cut: int) -> int:
    """Samples to move the generated cut so that the fade adds like to like."""
    template = source[source_cut - _FADE : source_cut + _FADE]
    start = generated_cut - _FADE - _PHASE_SEARCH
    region = generated[max(0, start) : start + template.size + 2 * _PHASE_SEARCH]
    if start < 0 or region.size < template.size + 2 * _PHASE_SEARCH:
        return 0
    likeness = np.correlate(region, template, mode="valid")
    power = np.convolve(np.square(region, dtype=np.float64), np.ones(template.size), mode="valid")
    return int((likeness / np.sqrt(power + 1e-9)).argmax()) - _PHASE_SEARCH


def _gain(source: FloatArray, generated: FloatArray, ends: SharedEnds) -> np.float32:
    """What brings the generated level to the source's, measured on the second next to the edit."""
    spans = (
        (source[: ends.source_start][-_LEVEL_WINDOW:], generated[: ends.generated_start][-_LEVEL_WINDOW:]),
        (source[ends.source_end :][:_LEVEL_WINDOW], generated[ends.generated_end :][:_LEVEL_WINDOW]),
    )
    wanted = _mean_power([span for span, _ in spans])
    given = _mean_power([span for _, span in spans])
    if min(wanted, given) < 1e-9:
        return np.float32(1.0)
    ratio = np.sqrt(wanted / given)
    return np.float32(min(max(ratio, 1 / _MAX_GAIN), _MAX_GAIN))


def _mean_power(spans: list[FloatArray]) -> float:
    """Mean power of the spans together; 0 when they are too short to tell."""
    num_samples = sum(span.size for span in spans)
    if num_samples < _FADE:
        return 0.0
    return sum(float(np.square(span, dtype=np.float64).sum()) for span in spans) / num_samples
