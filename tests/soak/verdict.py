"""Whether something grows: a line through its samples, once the stack is warm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.soak.watch import Sample

WARM_SHARE = 0.25
"""The first part of a run, in which caches fill and lazy parts are loaded, does not count."""
ALLOWED: Mapping[str, float] = {"rss": 32 * 2**20, "files": 8, "threads": 8, "shm": 16 * 2**20}
"""More at the end of a run than when it was warm, beside ALLOWED_SHARE of what there was."""
ALLOWED_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class Trend:
    """What one measure of one kind of process did."""

    kind: str
    measure: str
    first: float
    last: float
    an_hour: float
    """How much more an hour, by the line of least squares."""

    @property
    def is_flat(self) -> bool:
        """Whether it stayed where it was; of a short run that says little, as a slow leak needs its time."""
        return self.last - self.first <= ALLOWED[self.measure] + ALLOWED_SHARE * self.first


def trends(samples: Iterable[Sample]) -> list[Trend]:
    """One for each measure of each kind; ValueError for fewer than three samples of one when warm."""
    series: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        series[sample.kind, sample.measure].append(sample)
    return [_trend(kind, measure, found) for (kind, measure), found in sorted(series.items())]


def _trend(kind: str, measure: str, found: Sequence[Sample]) -> Trend:
    warm_seconds = WARM_SHARE * found[-1].seconds
    warm = [sample for sample in found if sample.seconds >= warm_seconds]
    if len(warm) < 3:
        raise ValueError(f"{len(warm)} samples of {kind} tell nothing; soak for longer, or look more often")
    times, values = np.array([(sample.seconds, sample.value) for sample in warm]).T
    slope, start = np.polyfit(times, values, 1)
    first, last = (float(start + slope * moment) for moment in (times[0], times[-1]))
    return Trend(kind=kind, measure=measure, first=first, last=last, an_hour=float(3600 * slope))
