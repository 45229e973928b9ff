"""Looks at a triplet before it is written: lengths, level, and the places where it was cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.boundaries import FAR_MS, SecondAlignment, measure
from training.data.triplets.triplet import Triplet


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What was measured; `boundary_max_ms` is None where nothing was cut, or nothing could be compared."""

    boundary_max_ms: float | None
    peak: float
    lengths_add_up: bool

    @property
    def passed(self) -> bool:
        """Within 50 ms at every cut, no clipping, and lengths that differ by what was edited."""
        boundary_fits = self.boundary_max_ms is None or self.boundary_max_ms <= FAR_MS
        return boundary_fits and self.peak <= 1.0 and self.lengths_add_up


def check_triplet(triplet: Triplet, second: SecondAlignment) -> Checks:
    """Measures a triplet; every recording that was cut is aligned once more."""
    waveforms = (triplet.source.waveform, triplet.target.waveform)
    finite = all(bool(np.isfinite(waveform).all()) for waveform in waveforms)
    peak = max(float(np.abs(waveform).max()) for waveform in waveforms) if finite else float("inf")
    return Checks(
        boundary_max_ms=_boundary_error(triplet, second), peak=peak, lengths_add_up=_lengths_add_up(triplet)
    )


def _boundary_error(triplet: Triplet, second: SecondAlignment) -> float | None:
    errors: list[float] = []
    for recording in {id(recording): recording for recording, _ in triplet.cuts}.values():
        used = {word for cut, word in triplet.cuts if cut is recording}
        errors += [abs(b.error_ms) for b in measure(recording, second) if b.word in used]
    return max(errors) if errors else None


def _lengths_add_up(triplet: Triplet) -> bool:
    source, target = triplet.source.waveform.size, triplet.target.waveform.size
    if triplet.method in ("splice", "mix"):
        regions = (triplet.source_region or (0, 0), triplet.target_region or (0, 0))
        gone, new = (end - start for start, end in regions)
        return source - gone == target - new
    if triplet.edit.unit == "factor" and triplet.kind == "speed":
        return target == round(source / (triplet.edit.value or 1.0))
    return triplet.method == "resynth" or source == target
