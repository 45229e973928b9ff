"""What grows is told from what only moves."""

from __future__ import annotations

import math
import os
import time

import pytest

from tests.soak.verdict import trends
from tests.soak.watch import Sample, look

MIB = 2**20


def rss(*values: float, every_seconds: float = 60) -> list[Sample]:
    return [Sample(number * every_seconds, "engine", "rss", value) for number, value in enumerate(values)]


def test_what_warms_up_or_waves_is_flat_and_what_leaks_is_not() -> None:
    warming = rss(*(500 * MIB * min(1, number / 10) for number in range(60)))
    waving = rss(*(500 * MIB + 20 * MIB * math.sin(number) for number in range(60)))
    leaking = rss(*(500 * MIB + number * 2 * MIB for number in range(60)))
    assert [trends(samples)[0].is_flat for samples in (warming, waving, leaking)] == [True, True, False]
    assert trends(leaking)[0].an_hour == pytest.approx(120 * MIB, rel=0.01)
    with pytest.raises(ValueError, match="soak for longer"):
        trends(rss(1, 1))


def test_a_look_sees_this_process() -> None:
    found = {(sample.kind, sample.measure): sample.value for sample in look(os.getpid(), time.monotonic())}
    assert sum(value for (_, measure), value in found.items() if measure == "rss") > 10 * MIB
    assert sum(value for (_, measure), value in found.items() if measure == "files") > 2
    assert ("all", "shm") in found
