"""Many callers over several replicas never get one unit more than their quota, whatever counts it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.redis_server import redis_server
from uniaudio.errors import QuotaExceededError, UnavailableError
from uniaudio.runtime.guard.callers import Caller
from uniaudio.runtime.guard.meter import AUDIO_UNIT, AudioMeter
from uniaudio.runtime.guard.quota import CounterStore, Quota, Quotas
from uniaudio.runtime.guard.quota_redis import RedisCounters
from uniaudio.runtime.guard.quota_sqlite import SqliteCounters

LIMIT = 50
QUOTAS = [
    Quota(name="requests", unit="requests", limit=LIMIT, window_seconds=3600),
    Quota(name="audio_per_hour", unit=AUDIO_UNIT, limit=60_000, window_seconds=3600),
    Quota(name="audio_per_day", unit=AUDIO_UNIT, limit=90_000, window_seconds=86_400),
]
CALLERS = [Caller(name=name, roles=frozenset()) for name in ("ann", "bob", "oidc/{odd}:name}")]
_DATABASES = itertools.count(1)
MakeStore = Callable[[], CounterStore]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    if request.param == "sqlite":
        return lambda: SqliteCounters(tmp_path / "quota.db")
    url = request.getfixturevalue("redis_url").removesuffix("/0")
    database = next(_DATABASES)
    return lambda: RedisCounters(f"{url}/{database}")


async def granted(quotas: Quotas, caller: Caller) -> int:
    try:
        return 0 if await quotas.take(caller, "requests", 1) is None else 1
    except QuotaExceededError:
        return 0


async def test_replicas_together_grant_exactly_the_limit(make_store: MakeStore) -> None:
    replicas = [Quotas(make_store(), QUOTAS) for _ in range(2)]
    totals: Counter[str] = Counter()

    async def call(replica: Quotas, caller: Caller) -> None:
        grant = await granted(replica, caller)
        totals[caller.name] += grant

    await asyncio.gather(
        *(call(replica, caller) for _ in range(40) for replica in replicas for caller in CALLERS)
    )
    assert totals == {caller.name: LIMIT for caller in CALLERS}
    for replica in replicas:
        await replica.close()


async def test_what_is_given_back_is_granted_again_exactly(make_store: MakeStore) -> None:
    replicas = [Quotas(make_store(), QUOTAS) for _ in range(2)]
    ann = CALLERS[0]
    taken = await replicas[0].take(ann, "requests", LIMIT)
    assert taken is not None
    await replicas[1].give_back(taken, 7)
    grants = await asyncio.gather(*(granted(replica, ann) for _ in range(10) for replica in replicas))
    assert sum(grants) == 7
    for replica in replicas:
        await replica.close()


async def test_meters_of_two_replicas_never_use_more_than_is_there(make_store: MakeStore) -> None:
    replicas = [Quotas(make_store(), QUOTAS) for _ in range(2)]
    used = 0

    async def stream(quotas: Quotas) -> None:
        nonlocal used
        meter = AudioMeter(quotas, CALLERS[1])
        try:
            for _ in range(40):
                await meter.use(0.25)
                used += 250
        except QuotaExceededError:
            pass
        finally:
            await meter.settle()

    await asyncio.gather(*(stream(replica) for _ in range(6) for replica in replicas))
    assert used == 60_000
    with pytest.raises(QuotaExceededError) as caught:
        await replicas[0].take(CALLERS[1], AUDIO_UNIT, 1)
    assert 3540 <= float(caught.value.metadata["retry_after_seconds"]) <= 3661
    for replica in replicas:
        await replica.close()


async def test_a_redis_that_is_gone_is_an_outage(free_port: Callable[[], int]) -> None:
    store = RedisCounters(f"redis://user:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        await Quotas(store, QUOTAS).take(CALLERS[0], "requests", 1)
    assert "hunter2" not in caught.value.message
    assert await Quotas(store, QUOTAS, open_on_outage=True).take(CALLERS[0], "requests", 1) is None
    await store.close()
