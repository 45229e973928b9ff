"""Arrivals, percentiles, gaps that a listener hears, and the search for the rate that holds."""

from __future__ import annotations

import math

import pytest

from benchmarks.serving_load import (
    Answer,
    Piece,
    Trial,
    arrival_times,
    highest_rate,
    percentile,
    underruns,
)


def spoken(*at: float, seconds: float = 0.1, failure: str = "") -> Answer:
    return Answer(tuple(Piece(time, seconds) for time in at), failure=failure)


def test_arrivals_come_in_order_at_the_rate_and_the_same_again() -> None:
    times = arrival_times(20.0, 2000, seed=1)
    assert times == sorted(times)
    assert times == arrival_times(20.0, 2000, seed=1)
    assert times != arrival_times(20.0, 2000, seed=2)
    assert 2000 / times[-1] == pytest.approx(20.0, rel=0.1)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3.0], 0.99, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        (list(range(1, 101)), 0.99, 99),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_percentile(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_percentile_of_nothing() -> None:
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((), 0),
        ((0.2,), 0),
        ((0.2, 0.3, 0.4), 0),  # each as the one before ends
        ((0.2, 0.21, 0.22, 0.5), 0),  # ahead of the listener
        ((0.2, 0.35), 1),
        ((0.2, 0.35, 0.45), 1),  # the listener waited once and plays on from there
        ((0.2, 0.35, 0.55), 2),
    ],
)
def test_underruns(at: tuple[float, ...], expected: int) -> None:
    # Powers of two add up exactly; a tenth of a second does not.
    pieces = [Piece(round(time * 1000), 100) for time in at]
    assert underruns(pieces) == expected


def test_a_trial_holds_when_everybody_heard_in_time_without_a_gap() -> None:
    good = spoken(0.2, 0.25)
    assert Trial(1.0, 2.0, (good, good)).holds
    assert Trial(1.0, 2.0, (good, good)).audio_rate == pytest.approx(0.2)
    assert not Trial(1.0, 2.0, (good, spoken(0.6))).holds
    assert not Trial(1.0, 2.0, (good, spoken(0.2, 0.9))).holds
    assert not Trial(1.0, 2.0, (good, spoken(0.2, failure="refused"))).holds


def test_who_hears_nothing_waits_for_ever() -> None:
    trial = Trial(1.0, 2.0, (spoken(0.2), spoken(failure="refused")))
    assert (trial.first_audio(0.5), trial.first_audio(0.99)) == (0.2, math.inf)
    assert (trial.num_failed, trial.num_underruns) == (1, 0)


@pytest.mark.parametrize("start", [0.5, 4.0, 100.0])
async def test_the_search_ends_below_the_true_limit(start: float) -> None:
    tried: list[float] = []

    async def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= 5.0

    found = await highest_rate(holds, start)
    assert 4.0 < found <= 5.0
    assert len(tried) <= 7 + 3


@pytest.mark.parametrize(("answer", "expected"), [(False, 0.0), (True, 64.0)])
async def test_the_search_is_bounded(answer: bool, expected: float) -> None:
    num_tried = 0

    async def holds(rate: float) -> bool:
        nonlocal num_tried
        num_tried += 1
        return answer

    assert await highest_rate(holds, 1.0) == expected
    assert num_tried == 7
