"""One holder at a time, each with a greater token; who lost it is told to whom."""

from __future__ import annotations

import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from tests.memory_store import HookedStore, MemoryStore, let_lease_run_out
from tests.object_store_contract import ObjectStoreContract
from uniaudio.errors import LeaseError, StoreError, UnavailableError
from uniaudio.runtime.folder_store import FolderStore
from uniaudio.runtime.heartbeat import Heartbeat
from uniaudio.runtime.leases import Lease, acquire_lease, new_acquisition
from uniaudio.runtime.object_store import ObjectStore

KEY = "lease.json"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class TestMemoryStore(ObjectStoreContract):
    """The fake keeps the protocol of what it stands for."""


def acquire(store: ObjectStore, holder: str, wait_seconds: float = 0.0) -> Lease:
    return acquire_lease(
        store, KEY, holder, acquisition=new_acquisition(), duration_seconds=60, wait_seconds=wait_seconds
    )


def test_the_second_is_told_who_has_it(store: MemoryStore) -> None:
    acquire(store, "first")
    with pytest.raises(LeaseError, match=r"in use: first \(token 1\)") as caught:
        acquire(store, "second")
    assert caught.value.metadata["holder"] == "first"


def test_a_lease_given_back_is_taken_at_once_with_the_next_token(store: MemoryStore) -> None:
    first = acquire(store, "first")
    first.release()
    assert acquire(store, "second").token == 2
    with pytest.raises(LeaseError, match=r"first \(token 1\) lost the lease to second \(token 2\)"):
        first.renew()


def test_a_lease_that_ran_out_is_taken_and_its_old_holder_told(store: MemoryStore) -> None:
    first = acquire(store, "first")
    let_lease_run_out(store)
    second = acquire(store, "second")
    for call in (first.renew, first.release):
        with pytest.raises(LeaseError, match="lost the lease to second") as caught:
            call()
        assert caught.value.reason == "LEASE_LOST"
    second.renew()


def test_a_holder_that_nobody_replaced_goes_on_after_its_time(store: MemoryStore) -> None:
    first = acquire(store, "first")
    let_lease_run_out(store)
    first.renew()
    with pytest.raises(LeaseError, match="in use: first"):
        acquire(store, "second")


def test_a_holder_that_renews_is_alive_and_not_waited_for(store: MemoryStore) -> None:
    first = acquire(store, "first")
    beating = Heartbeat(first, 0.05)
    try:
        with pytest.raises(LeaseError, match="in use: first"):
            acquire(store, "second", wait_seconds=100)
    finally:
        beating.stop()


def test_a_heartbeat_notices_the_loss(store: MemoryStore) -> None:
    noticed = threading.Event()
    hooked = HookedStore(store, after=lambda name, key: noticed.set() if name == "read" else None)
    first = acquire(hooked, "first")
    let_lease_run_out(store)
    acquire(store, "second")
    noticed.clear()
    beating = Heartbeat(first, 0.01)
    assert noticed.wait(10)
    beating.stop()
    with pytest.raises(LeaseError, match="second"):
        beating.check()


def test_a_heartbeat_outlives_a_store_that_is_away(store: MemoryStore) -> None:
    tries: list[str] = []
    renewed = threading.Event()

    def before(name: str, key: str) -> None:
        if name == "replace":
            tries.append(name)
            if len(tries) < 3:
                raise UnavailableError("away")

    def after(name: str, key: str) -> None:
        if name == "replace":
            renewed.set()

    beating = Heartbeat(acquire(HookedStore(store, before=before, after=after), "first"), 0.01)
    assert renewed.wait(10)
    beating.stop()
    beating.check()


@pytest.mark.parametrize("deed", ["acquire", "renew", "release"])
def test_a_lost_reply_does_not_lose_the_lease(store: MemoryStore, deed: str) -> None:
    """A write arrives, its reply does not, and the client's own retry is refused: the tag has changed."""
    armed: list[bool] = []

    class Forgetful(HookedStore):
        def create(self, key: str, data: bytes) -> str | None:
            return self._forget(store.create(key, data))

        def replace(self, key: str, data: bytes, tag: str) -> str | None:
            return self._forget(store.replace(key, data, tag))

        def _forget(self, tag: str | None) -> str | None:
            return None if armed and armed.pop() else tag

    forgetful = Forgetful(store)
    armed.extend([True] * (deed == "acquire"))
    lease = acquire(forgetful, "first")
    assert lease.token == 1
    armed.extend([True] * (deed != "acquire"))
    (lease.release if deed == "release" else lease.renew)()
    if deed != "release":
        lease.renew()
    else:
        assert acquire(store, "second").token == 2


def _take_and_die(folder: Path) -> None:
    acquire(FolderStore(folder), "the dead")


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_at_once(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_take_and_die, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert acquire(FolderStore(tmp_path), "the living").token == 2


def test_a_damaged_lease_is_named(store: MemoryStore) -> None:
    for data in (b"{", b"{}", json.dumps([1]).encode()):
        store.objects[KEY] = data
        store._versions[KEY] = 1
        with pytest.raises(StoreError, match="damaged"):
            acquire(store, "first")


def test_a_lease_that_was_removed_is_lost(store: MemoryStore) -> None:
    first = acquire(store, "first")
    store.delete(KEY)
    with pytest.raises(LeaseError, match="removed while first held it"):
        first.renew()
