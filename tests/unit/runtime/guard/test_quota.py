"""Quotas: exact in every span of the window, whole or not at all, given back, and honest when nobody can count."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniaudio.errors import QuotaExceededError, UnavailableError
from uniaudio.runtime.guard.callers import Caller
from uniaudio.runtime.guard.meter import AUDIO_UNIT, AudioMeter
from uniaudio.runtime.guard.quota import Charge, Quota, Quotas, Refused, Taken, store_away
from uniaudio.runtime.guard.quota_sqlite import SqliteCounters

ANN = Caller(name="ann", roles=frozenset())
BOB = Caller(name="bob", roles=frozenset())
MINUTE = Quota(name="minute", unit="requests", limit=10, window_seconds=60)
HOUR = Quota(name="hour", unit="requests", limit=25, window_seconds=3600)


class Clock:
    """A clock that goes when told to, in microseconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1e6)


class Away:
    """A store that does not answer."""

    async def take(self, charges: Sequence[Charge]) -> Taken | Refused:
        raise store_away("nowhere", "away")

    async def give_back(self, taken: Taken, amount: int) -> None:
        raise store_away("nowhere", "away")

    async def close(self) -> None:
        return None


async def take(quotas: Quotas, amount: int = 1, caller: Caller = ANN) -> Taken:
    taken = await quotas.take(caller, "requests", amount)
    assert taken is not None
    return taken


async def test_a_caller_may_have_limits_of_its_own() -> None:
    none = replace(MINUTE, limit=0)
    quotas = Quotas(SqliteCounters(clock=Clock()), [MINUTE, HOUR])
    more = replace(ANN, limits={"minute": 20})
    await take(quotas, 20, more)
    with pytest.raises(QuotaExceededError, match="ann used 20 of 20 requests in 60 s"):
        await take(quotas, 1, more)
    free = replace(BOB, limits={"minute": 0, "hour": 0})
    assert await quotas.take(free, "requests", 1000) is None
    assert (quotas.counts(free, "requests"), quotas.counts(more, "requests")) == (False, True)
    nobody_else = Quotas(SqliteCounters(clock=Clock()), [none])
    assert await nobody_else.take(BOB, "requests", 1000) is None
    with pytest.raises(QuotaExceededError, match="ann used 0 of 20 requests"):
        await take(nobody_else, 21, more)


async def test_each_caller_has_its_own() -> None:
    quotas = Quotas(SqliteCounters(clock=Clock()), [MINUTE])
    await take(quotas, 10)
    await take(quotas, 10, BOB)
    with pytest.raises(QuotaExceededError, match="ann used 10 of 10 requests in 60 s"):
        await take(quotas)


async def test_the_refusal_says_when_it_works_again_and_then_it_does() -> None:
    clock = Clock()
    quotas = Quotas(SqliteCounters(clock=clock), [MINUTE])
    await take(quotas, 4)
    clock.wait(20)
    await take(quotas, 6)
    with pytest.raises(QuotaExceededError) as caught:
        await take(quotas, 3)
    wait = float(caught.value.metadata["retry_after_seconds"])
    assert 39 <= wait <= 41
    clock.wait(wait - 0.01)
    with pytest.raises(QuotaExceededError):
        await take(quotas, 3)
    clock.wait(0.02)
    await take(quotas, 3)


async def test_more_than_the_limit_never_works_and_says_so() -> None:
    with pytest.raises(QuotaExceededError, match="ask for less at once"):
        await take(Quotas(SqliteCounters(), [MINUTE]), 11)


async def test_of_several_quotas_all_are_taken_or_none() -> None:
    clock = Clock()
    quotas = Quotas(SqliteCounters(clock=clock), [HOUR, MINUTE])
    for _ in range(2):
        await take(quotas, 10)
        clock.wait(62)
    with pytest.raises(QuotaExceededError, match="of 25"):
        await take(quotas, 6)
    await take(quotas, 5)  # the minute was not charged by the refusal before


async def test_what_is_given_back_can_be_taken_again_and_no_more_than_that() -> None:
    quotas = Quotas(SqliteCounters(clock=Clock()), [MINUTE])
    taken = await take(quotas, 10)
    await quotas.give_back(taken, 4)
    await take(quotas, 4)
    with pytest.raises(QuotaExceededError):
        await take(quotas, 1)
    await quotas.give_back(taken, 1000)
    with pytest.raises(QuotaExceededError):
        await take(quotas, 11)
    await take(quotas, 10)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from([60, 3600, 86_400]))
async def test_no_span_of_the_window_ever_holds_more_than_the_limit(
    seed: int, limit: int, window: int
) -> None:
    rng, clock = random.Random(seed), Clock()
    quota = Quota(name="q", unit="requests", limit=limit, window_seconds=window)
    quotas = Quotas(SqliteCounters(clock=clock), [quota])
    granted: list[tuple[int, int]] = []
    for _ in range(120):
        clock.wait(rng.expovariate(1.0) * window / 20)
        amount = rng.randint(1, max(1, limit // 3))
        try:
            await take(quotas, amount)
        except QuotaExceededError as error:
            if rng.random() < 0.3:  # the promised moment is right
                clock.wait(float(error.metadata["retry_after_seconds"]) + 0.002)
                await take(quotas, amount)
            else:
                continue
        granted.append((clock.now, amount))
        inside = sum(amount for at, amount in granted if at > clock.now - window * 1_000_000)
        assert inside <= limit


async def test_a_clock_that_jumps_back_grants_nothing_twice() -> None:
    clock = Clock()
    quotas = Quotas(SqliteCounters(clock=clock), [MINUTE])
    await take(quotas, 10)
    clock.wait(-3600)
    with pytest.raises(QuotaExceededError):
        await take(quotas)


async def test_a_store_that_is_away_refuses_or_lets_through_as_set() -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        await Quotas(Away(), [MINUTE]).take(ANN, "requests", 1)
    assert await Quotas(Away(), [MINUTE], open_on_outage=True).take(ANN, "requests", 1) is None


async def test_a_file_that_cannot_be_opened_counts_as_away(tmp_path) -> None:
    with pytest.raises(UnavailableError):
        await Quotas(SqliteCounters(tmp_path / "none" / "q.db"), [MINUTE]).take(ANN, "requests", 1)


AUDIO = Quota(name="audio", unit=AUDIO_UNIT, limit=60_000, window_seconds=3600)


async def left(quotas: Quotas) -> int:
    """What is left of the audio quota."""
    try:
        await quotas.take(ANN, AUDIO_UNIT, AUDIO.limit)
    except QuotaExceededError as error:
        return AUDIO.limit - int(error.metadata["value"].split()[0])
    raise AssertionError("everything was left, and is taken now")


async def test_a_meter_takes_ahead_and_gives_back_what_it_did_not_use() -> None:
    quotas = Quotas(SqliteCounters(), [AUDIO])
    meter = AudioMeter(quotas, ANN)
    for _ in range(21):
        await meter.use(0.5)
    assert await left(quotas) == 40_000
    await meter.settle()
    assert await left(quotas) == 49_500
    await meter.settle()
    await meter.use(5.0)  # of something that outlived the call
    assert await left(quotas) == 49_500


async def test_a_meter_uses_the_last_second_and_not_one_more() -> None:
    quotas = Quotas(SqliteCounters(), [AUDIO])
    meter = AudioMeter(quotas, ANN)
    await meter.use(55.0)
    await meter.use(5.0)
    with pytest.raises(QuotaExceededError):
        await meter.use(0.001)
    await meter.settle()
    assert await left(quotas) == 0


async def test_a_call_that_failed_by_our_fault_costs_nothing() -> None:
    quotas = Quotas(SqliteCounters(), [AUDIO])
    meter = AudioMeter(quotas, ANN)
    await meter.use(30.0)
    await meter.use(12.0)
    await meter.settle(is_used=False)
    await quotas.take(ANN, AUDIO_UNIT, AUDIO.limit)


async def test_what_a_meter_takes_back_is_free_again() -> None:
    quotas = Quotas(SqliteCounters(), [AUDIO])
    meter = AudioMeter(quotas, ANN)
    await meter.use(30.0)
    meter.unuse(30.0)
    await meter.use(10.0)
    await meter.settle()
    assert await left(quotas) == 50_000
