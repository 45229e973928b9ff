"""Checkpoints are saved in the background, fetched whole, and kept by number."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.memory_store import HookedStore, MemoryStore, let_lease_run_out
from tests.unit.training.checkpoints.saving import content_of, write_folder
from training.checkpoints import store as store_module
from training.checkpoints.store import CheckpointStore, new_attempt, open_store
from uniaudio.errors import (
    CheckpointError,
    DeadlineError,
    InvalidInputError,
    LeaseError,
    QueueFullError,
    StoreError,
)


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


def test_a_folder_goes_there_and_back(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", 7, num_files=4)
    with open_store(str(tmp_path / "store"), holder="run") as store:
        assert store.latest() is None
        assert store.restore(tmp_path / "back") is None
        info = store.save(7, source).wait(10)
        assert info is not None
        assert info == store.latest()
        assert (info.step, info.holder, info.num_ranks, info.token) == (7, "run", 1, 1)
        assert info.size_bytes == sum(len(data) for data in content_of(source).values())
        (tmp_path / "back").mkdir()  # an empty folder may be there
        assert store.restore(tmp_path / "back") == info
    assert content_of(tmp_path / "back") == content_of(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "source", "store"]


def test_a_save_does_not_hold_up_its_caller_and_the_next_waits_or_is_refused(
    inner: MemoryStore, tmp_path: Path
) -> None:
    source = write_folder(tmp_path / "source", 1)
    go_on = threading.Event()

    def before(name: str, key: str) -> None:
        if name == "upload":
            assert go_on.wait(10)

    with CheckpointStore(HookedStore(inner, before=before), holder="run") as store:
        first = store.save(1, source)
        assert not first.done
        with pytest.raises(DeadlineError, match=r"step 1 is not saved after 0.01 s"):
            first.wait(0.01)
        with pytest.raises(QueueFullError, match="step 2 cannot be saved while"):
            store.save(2, source, wait_seconds=0.01)
        with ThreadPoolExecutor(1) as caller:
            second = caller.submit(store.save, 3, source, wait_seconds=10)
            go_on.set()
            assert second.result(10).wait(10)
        assert first.done
        assert [info.step for info in store.list()] == [3, 1]


def test_who_waited_for_a_save_can_save_again(inner: MemoryStore, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", 1)
    with CheckpointStore(inner, holder="run") as store:
        for step in range(100):
            assert store.save(step, source).wait(10)


def test_closing_waits_for_the_last_save(inner: MemoryStore, tmp_path: Path) -> None:
    with CheckpointStore(inner, holder="run") as store:
        handle = store.save(1, write_folder(tmp_path / "source", 1))
    assert handle.done
    with CheckpointStore(inner, holder="next") as store:
        store.claim(wait_seconds=0)  # the lease was given back
        assert store.latest() is not None


def test_closing_does_not_wait_for_ever(inner: MemoryStore, tmp_path: Path) -> None:
    go_on = threading.Event()
    hooked = HookedStore(inner, before=lambda name, key: None if name != "upload" else _wait(go_on))
    store = CheckpointStore(hooked, holder="run")
    handle = store.save(1, write_folder(tmp_path / "source", 1))
    with pytest.raises(DeadlineError, match=r"did not end within 0.01 s"):
        store.close(timeout_seconds=0.01)
    with CheckpointStore(inner, holder="other") as other:
        other.claim(wait_seconds=0)  # the lease was given back
        go_on.set()
        with pytest.raises(LeaseError, match="lost the lease to other"):
            handle.wait(10)


def _wait(event: threading.Event) -> None:
    assert event.wait(10)


def test_several_ranks_make_one_checkpoint(inner: MemoryStore, tmp_path: Path) -> None:
    attempt = new_attempt(5)
    stores = [CheckpointStore(inner, holder="run") for _ in range(3)]
    folders = [write_folder(tmp_path / f"rank {rank}", 5, rank=rank) for rank in range(3)]
    handles = [
        stores[rank].save(5, folders[rank], rank=rank, num_ranks=3, attempt=attempt) for rank in (0, 2, 1)
    ]
    info, *others = (handle.wait(10) for handle in handles)
    assert info is not None
    assert others == [None, None]
    stores[1].fetch(info, tmp_path / "back")
    for store in reversed(stores):
        store.close()
    expected = {name: data for folder in folders for name, data in content_of(folder).items()}
    assert content_of(tmp_path / "back") == expected


def test_a_rank_that_does_not_come_is_named(
    inner: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PARTS_SECONDS", 0.01)
    source = write_folder(tmp_path / "source", 1)
    with CheckpointStore(inner, holder="run") as store:
        handle = store.save(1, source, num_ranks=3, attempt=new_attempt(1))
        with pytest.raises(DeadlineError, match=r"ranks \[1, 2\] of 3 did not finish"):
            handle.wait(10)
        assert store.latest() is None


def test_ranks_must_agree_on_an_attempt_and_on_names(inner: MemoryStore, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", 1)
    with CheckpointStore(inner, holder="run") as store, CheckpointStore(inner, holder="run") as other:
        with pytest.raises(InvalidInputError, match="broadcast rank 0's new_attempt"):
            store.save(1, source, num_ranks=2)
        with pytest.raises(InvalidInputError, match="slash"):
            store.save(1, source, attempt="a/b")
        attempt = new_attempt(1)
        other.save(1, source, rank=1, num_ranks=2, attempt=attempt).wait(10)
        with pytest.raises(InvalidInputError, match="give the files of different ranks different names"):
            store.save(1, source, num_ranks=2, attempt=attempt).wait(10)


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_taken(
    inner: MemoryStore, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with CheckpointStore(inner, holder="run") as store:
        for step in (1, 2):
            store.save(step, write_folder(tmp_path / f"{step}", step)).wait(10)
        newest = store.latest()
        assert newest is not None
        key = newest.files[-1].key(newest.attempt)
        data = inner.objects.pop(key)
        if damage != "lose":
            inner.objects[key] = data[:-1] + (bytes([data[-1] ^ 1]) if damage == "flip" else b"")
        with pytest.raises(CheckpointError, match=r"checkpoint 3 \(step 2\).*is damaged: shards/0-0.bin"):
            store.fetch(newest, tmp_path / "back")
        assert not (tmp_path / "back").exists()
        with caplog.at_level(logging.ERROR):
            info = store.restore(tmp_path / "back")
    assert info is not None
    assert info.step == 1
    assert "use the one before" in caplog.text
    assert content_of(tmp_path / "back") == content_of(tmp_path / "1")


def test_where_all_are_damaged_nothing_is_pretended(inner: MemoryStore, tmp_path: Path) -> None:
    with CheckpointStore(inner, holder="run") as store:
        info = store.save(1, write_folder(tmp_path / "1", 1)).wait(10)
        assert info is not None
        inner.delete_folder("attempts")
        with pytest.raises(CheckpointError, match="missing"):
            store.restore(tmp_path / "back")


@pytest.mark.parametrize(
    "manifest",
    [
        b"{",
        b"[]",
        b'{"format": 2, "kind": "claim"}',
        b"{}",
        b'{"format": 1, "kind": "checkpoint", "number": 3}',
    ],
)
def test_a_damaged_manifest_is_reported_and_left_alone(
    inner: MemoryStore, tmp_path: Path, manifest: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with CheckpointStore(inner, holder="run") as store:
        for step in (1, 2):
            store.save(step, write_folder(tmp_path / f"{step}", step)).wait(10)
        inner.objects["manifests/000000000003.json"] = manifest
        latest = store.latest()
        assert latest is not None
        assert latest.step == 1
        assert "manifests/000000000003.json is no manifest" in caplog.text
        before = dict(inner.objects)
        store.prune(keep_last=1, grace_seconds=-1)
        gone = set(before) - set(inner.objects)
        assert gone == {"manifests/000000000001.json"}, "its files may be somebody's last hope"


def test_a_manifest_cannot_lead_out_of_the_folder(inner: MemoryStore, tmp_path: Path) -> None:
    with CheckpointStore(inner, holder="run") as store:
        store.save(1, write_folder(tmp_path / "1", 1)).wait(10)
        key = "manifests/000000000002.json"
        values = json.loads(inner.objects[key])
        values["files"][0]["name"] = "../../escaped"
        inner.objects[key] = json.dumps(values).encode()
        assert store.list() == []


def test_the_newest_stay_and_the_rest_goes(inner: MemoryStore, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", 1)
    for first in (0, 3):  # two runs, one after the other
        with CheckpointStore(inner, holder="run") as store:
            for step in range(first, first + 3):
                store.save(step, source).wait(10)
    inner.create("attempts/000000000009-dead/rank-00000/file", b"x")
    with CheckpointStore(inner, holder="run") as store:
        store.prune(keep_last=2)
        assert [info.step for info in store.list()] == [5, 4]
        assert any("-dead" in key for key in inner.objects), "it may be under way elsewhere"
        store.prune(keep_last=2, grace_seconds=-1)
        assert not any("-dead" in key for key in inner.objects)
        store.prune(keep_last=1)
        assert [info.step for info in store.list()] == [5]
        assert len([key for key in inner.objects if key.startswith("attempts/")]) == 3
        with pytest.raises(InvalidInputError, match="keep_last is 0"):
            store.prune(keep_last=0)


def test_only_what_can_be_saved_is_taken(inner: MemoryStore, tmp_path: Path) -> None:
    with CheckpointStore(inner, holder="run") as store:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InvalidInputError, match="holds no file"):
            store.save(1, tmp_path / "empty")
        source = write_folder(tmp_path / "source", 1)
        (source / "link").symlink_to(tmp_path)
        with pytest.raises(InvalidInputError, match="link is no plain file"):
            store.save(1, source)
        info = store.save(1, write_folder(tmp_path / "good", 1)).wait(10)
        assert info is not None
        with pytest.raises(InvalidInputError, match="is not empty"):
            store.fetch(info, source)


def test_a_checkpoint_larger_than_the_disk_is_not_begun(inner: MemoryStore, tmp_path: Path) -> None:
    with CheckpointStore(inner, holder="run") as store:
        info = store.save(1, write_folder(tmp_path / "source", 1)).wait(10)
        assert info is not None
        vast = replace(info, files=(replace(info.files[0], size_bytes=2**60),))
        with pytest.raises(StoreError, match=f"has {2**60} bytes and .* has room for") as caught:
            store.fetch(vast, tmp_path / "back")
        assert caught.value.reason == "STORE_FULL"


def test_a_full_store_is_named_and_the_attempt_leaves_nothing(inner: MemoryStore, tmp_path: Path) -> None:
    def before(name: str, key: str) -> None:
        if key.endswith(".bin"):
            raise StoreError("no space is left", reason="STORE_FULL")

    source = write_folder(tmp_path / "source", 1)
    with CheckpointStore(HookedStore(inner, before=before), holder="run") as store:
        with pytest.raises(StoreError, match="no space"):
            store.save(1, source).wait(10)
        assert not any(key.startswith("attempts/") for key in inner.objects)


def test_a_file_that_goes_while_it_is_saved_is_named(inner: MemoryStore, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", 1)

    def before(name: str, key: str) -> None:
        if name == "upload":
            (source / "shards/0-0.bin").unlink(missing_ok=True)

    with CheckpointStore(HookedStore(inner, before=before), holder="run") as store:
        with pytest.raises(StoreError, match=r"0-0\.bin cannot be used: No such file"):
            store.save(1, source).wait(10)
        assert store.latest() is None


def test_a_failure_is_logged_though_nobody_waits(
    inner: MemoryStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def before(name: str, key: str) -> None:
        if name == "upload":
            raise StoreError("refused")

    with CheckpointStore(HookedStore(inner, before=before), holder="run") as store:
        store.save(1, write_folder(tmp_path / "source", 1))
    assert "a checkpoint was not saved: refused" in caplog.text


def test_a_second_writer_is_told_who_has_the_run(inner: MemoryStore, tmp_path: Path) -> None:
    with CheckpointStore(inner, holder="first") as first, CheckpointStore(inner, holder="second") as second:
        first.claim()
        with pytest.raises(LeaseError, match="in use: first"):
            second.claim(wait_seconds=0)
        with pytest.raises(LeaseError, match="in use: first"):
            second.claim(wait_seconds=0.6)


def test_a_writer_that_lost_its_lease_publishes_nothing(inner: MemoryStore, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", 1)
    with CheckpointStore(inner, holder="first") as first, CheckpointStore(inner, holder="second") as second:
        first.save(1, source).wait(10)
        let_lease_run_out(inner)
        second.claim(wait_seconds=0)
        for call in (lambda: first.save(2, source).wait(10), lambda: first.prune(1)):
            with pytest.raises(LeaseError, match=r"first \(token 1\) lost the lease to second \(token 2\)"):
                call()
        assert [info.step for info in second.list()] == [1]
        second.save(3, source).wait(10)
        assert [info.step for info in first.list()] == [3, 1]


def test_not_even_in_the_moment_before_it_writes(inner: MemoryStore, tmp_path: Path) -> None:
    """The lease is taken after the writer has looked for the last time: its number is taken as well."""
    source = write_folder(tmp_path / "source", 1)
    second = CheckpointStore(inner, holder="second")

    def before(name: str, key: str) -> None:
        if name == "create" and key == "manifests/000000000003.json":
            let_lease_run_out(inner)
            second.claim(wait_seconds=0)

    with CheckpointStore(HookedStore(inner, before=before), holder="first") as first:
        first.save(1, source).wait(10)
        with pytest.raises(LeaseError, match="lost the lease to second"):
            first.save(2, source).wait(10)
        assert [info.step for info in second.list()] == [1]
        second.save(3, source).wait(10)
        assert [info.step for info in second.list()] == [3, 1]
    second.close()
