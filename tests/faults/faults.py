"""What can go wrong around jobs: how each fault strikes and how it is undone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psutil
from redis import Redis

from services.orchestrator.jobs.broker import TASK, make_app
from tests.faults.fault import Fault, away, down, times
from tests.faults.house import BUCKET, House

_JUMP_SECONDS = 3_600.0
_SLOW_SECONDS = 0.5
_RUNNING_SHARE = 0.1
_COPIES = 3


@contextmanager
def _worker_killed(house: House, rng: random.Random) -> Iterator[None]:
    worker = rng.choice(house.workers)
    worker.kill()
    yield
    worker.start()


def _worker_frozen(house: House, rng: random.Random) -> AbstractContextManager[None]:
    return rng.choice(house.workers).frozen()


@contextmanager
def _door_killed(house: House, rng: random.Random) -> Iterator[None]:
    house.door.kill()
    yield
    house.door.start()


@contextmanager
def _broker_killed(house: House, rng: random.Random) -> Iterator[None]:
    house.kill_broker()
    yield
    house.start_broker()


@contextmanager
def _broker_frozen(house: House, rng: random.Random) -> Iterator[None]:
    with Redis.from_url(house.broker) as redis:
        server = psutil.Process(redis.info("server")["process_id"])
    server.suspend()
    yield
    server.resume()


@contextmanager
def _database_killed(house: House, rng: random.Random) -> Iterator[None]:
    house.postgres.kill()
    yield
    house.postgres.start()


def _database_frozen(house: House, rng: random.Random) -> AbstractContextManager[None]:
    return house.postgres.frozen()


@contextmanager
def _store_killed(house: House, rng: random.Random) -> Iterator[None]:
    house.minio.kill()
    yield
    house.minio.start()


@contextmanager
def _store_slow(house: House, rng: random.Random) -> Iterator[None]:
    over = threading.Event()

    def hinder() -> None:
        while not over.is_set():
            with house.minio.frozen():
                over.wait((1 - _RUNNING_SHARE) * _SLOW_SECONDS)
            over.wait(_RUNNING_SHARE * _SLOW_SECONDS)

    with _beside(hinder, over):
        yield


@contextmanager
def _store_full(house: House, rng: random.Random) -> Iterator[None]:
    house.store_admin().bucket_quota_set(BUCKET, 1)
    yield
    house.store_admin().bucket_quota_clear(BUCKET)


@contextmanager
def _clock_ahead(house: House, rng: random.Random) -> Iterator[None]:
    house.set_clock(_JUMP_SECONDS)
    yield
    house.set_clock(0)


@contextmanager
def _clock_back(house: House, rng: random.Random) -> Iterator[None]:
    house.set_clock(-_JUMP_SECONDS)
    yield
    house.set_clock(0)


@contextmanager
def _delivered_again(house: House, rng: random.Random) -> Iterator[None]:
    over, app = threading.Event(), make_app(house.broker)

    def repeat() -> None:
        while not over.is_set():
            with house.database() as connection:
                keys = connection.execute(
                    "SELECT job_id, item_index FROM items ORDER BY random() LIMIT 16"
                ).fetchall()
            for _ in range(_COPIES if keys else 0):
                app.send_task(TASK, args=[keys, {}], ignore_result=True)
            over.wait(0.1)

    with _beside(repeat, over):
        yield
    app.close()


@contextmanager
def _beside(work: Callable[[], None], over: threading.Event) -> Iterator[None]:
    """Something done in a thread until the end; what it raises is raised here."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    thread = threading.Thread(target=run, name="fault")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
    if failures:
        raise failures[0]


FAULTS: tuple[Fault[House], ...] = (
    Fault(
        name="worker killed",
        how="kill -9 at a random moment, started again",
        strike=_worker_killed,
        seconds=down,
        times=times,
    ),
    Fault(
        name="worker frozen",
        how="stopped for three leases, then it goes on as if nothing had been",
        strike=_worker_frozen,
        seconds=lambda pace: 3 * pace.lease_seconds,
    ),
    Fault(
        name="orchestrator killed",
        how="kill -9 at a random moment, started again",
        strike=_door_killed,
        seconds=down,
        times=times,
    ),
    Fault(
        name="broker killed",
        how="kill -9 of Redis, whose messages are lost; started again, empty",
        strike=_broker_killed,
        seconds=down,
        times=times,
    ),
    Fault(
        name="broker gone",
        how="Redis away for long, back empty",
        strike=_broker_killed,
        seconds=away,
        is_long=True,
    ),
    Fault(
        name="broker frozen",
        how="Redis takes connections and answers nothing",
        strike=_broker_frozen,
        seconds=away,
    ),
    Fault(
        name="database killed",
        how="kill -9 of PostgreSQL, started again",
        strike=_database_killed,
        seconds=down,
        times=times,
    ),
    Fault(
        name="database gone",
        how="PostgreSQL away for long",
        strike=_database_killed,
        seconds=away,
        is_long=True,
    ),
    Fault(
        name="database frozen",
        how="PostgreSQL takes connections and answers nothing",
        strike=_database_frozen,
        seconds=away,
    ),
    Fault(
        name="store killed",
        how="kill -9 of MinIO, started again",
        strike=_store_killed,
        seconds=down,
        times=times,
    ),
    Fault(name="store gone", how="MinIO away for long", strike=_store_killed, seconds=away, is_long=True),
    Fault(
        name="store slow", how="MinIO stopped for nine tenths of the time", strike=_store_slow, seconds=away
    ),
    Fault(name="store full", how="the bucket's quota used up", strike=_store_full, seconds=away),
    Fault(
        name="clock jumps ahead",
        how="the database's clock an hour ahead, then back again",
        strike=_clock_ahead,
        seconds=away,
    ),
    Fault(
        name="clock jumps back",
        how="the database's clock an hour behind, then right again",
        strike=_clock_back,
        seconds=away,
    ),
    Fault(
        name="messages doubled",
        how="messages of all items, ended ones too, sent again and again",
        strike=_delivered_again,
        seconds=away,
    ),
)
