"""What every object store does; the tests of each store take these over by inheriting from it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from uniaudio.errors import InvalidInputError, StoreError
from uniaudio.runtime.object_store import ObjectStore, create_once


def winners(num_threads: int, call: Callable[[int], object]) -> int:
    """How many of many threads that call at once get an answer."""
    ready = threading.Barrier(num_threads)
    answers: list[object] = []

    def run(index: int) -> None:
        ready.wait(10)
        answers.append(call(index))

    threads = [threading.Thread(target=run, args=(index,)) for index in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == num_threads
    return sum(answer is not None for answer in answers)


class ObjectStoreContract:
    """Needs a fixture `store`."""

    def test_a_key_is_created_once(self, store: ObjectStore) -> None:
        assert store.read("folder/one") is None
        tag = store.create("folder/one", b"first")
        assert tag
        assert store.create("folder/one", b"second") is None
        found = store.read("folder/one")
        assert found is not None
        assert (found.data, found.tag) == (b"first", tag)

    def test_only_who_knows_what_was_there_replaces_it(self, store: ObjectStore) -> None:
        assert store.replace("absent", b"x", "0" * 32) is None
        old = store.create("one", b"old")
        assert old
        new = store.replace("one", b"new", old)
        assert new
        assert store.replace("one", b"late", old) is None
        found = store.read("one")
        assert found is not None
        assert (found.data, found.tag) == (b"new", new)

    def test_of_many_at_once_one_wins(self, store: ObjectStore) -> None:
        assert winners(8, lambda index: store.create("race", b"%d" % index)) == 1
        found = store.read("race")
        assert found is not None
        tag = found.tag
        assert winners(8, lambda index: store.replace("race", b"again %d" % index, tag)) == 1

    def test_an_own_write_is_known_again(self, store: ObjectStore) -> None:
        assert create_once(store, "mine", b"data")
        assert create_once(store, "mine", b"data")
        assert not create_once(store, "mine", b"other")

    def test_files_go_there_and_back(self, store: ObjectStore, tmp_path: Path) -> None:
        for size_bytes in (0, 1, 3_000_000):
            source, back = tmp_path / "source", tmp_path / f"back-{size_bytes}"
            source.write_bytes(bytes(index % 251 for index in range(1000)) * (size_bytes // 1000 + 1))
            with source.open("r+b") as file:
                file.truncate(size_bytes)
            store.upload(f"files/{size_bytes}", source)
            store.download(f"files/{size_bytes}", back)
            assert back.read_bytes() == source.read_bytes()
        sizes = {info.key: info.size_bytes for info in store.list_folder("files")}
        assert sizes == {"files/0": 0, "files/1": 1, "files/3000000": 3_000_000}

    def test_a_download_goes_on_where_it_stopped(self, store: ObjectStore, tmp_path: Path) -> None:
        source, back = tmp_path / "source", tmp_path / "back"
        source.write_bytes(os.urandom(3_000_000))
        store.upload("files/long", source)
        for num_bytes in (0, 1_234_567, 3_000_000):
            back.write_bytes(source.read_bytes()[:num_bytes])
            store.download("files/long", back, resume=True)
            assert back.read_bytes() == source.read_bytes()

    def test_a_missing_object_is_named(self, store: ObjectStore, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"files/none.* missing") as caught:
            store.download("files/none", tmp_path / "none")
        assert caught.value.reason == "OBJECT_MISSING"

    def test_a_folder_is_listed_and_deleted_with_what_is_in_it_and_nothing_else(
        self, store: ObjectStore
    ) -> None:
        for key in ("a/1", "a/b/.2", "ab/3", "c"):
            store.create(key, b"x")
        assert [info.key for info in store.list_folder("a")] == ["a/1", "a/b/.2"]
        assert store.list_folder("nothing") == []
        store.delete_folder("a")
        store.delete_folder("nothing")
        store.delete("c")
        store.delete("c")
        assert store.list_folder("a") == []
        assert store.read("c") is None
        assert store.read("ab/3") is not None

    @pytest.mark.parametrize("key", ["", "/a", "a//b", "a/../b", "..", "a b", "a/", "x" * 901, "a.partial"])
    def test_keys_that_not_every_store_can_hold_are_refused(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(InvalidInputError):
            store.create(key, b"x")
