"""A folder keeps objects as any store does, and a stopped write leaves no object."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.object_store_contract import ObjectStoreContract
from uniaudio.errors import InvalidInputError, LimitExceededError, StoreError
from uniaudio.runtime import folder_store
from uniaudio.runtime.folder_store import FolderStore
from uniaudio.runtime.object_store import open_object_store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


class TestFolderStore(ObjectStoreContract):
    """The whole contract."""


def test_a_file_on_its_way_is_no_object(store: FolderStore, tmp_path: Path) -> None:
    store.create("folder/whole", b"x")
    (tmp_path / "store/folder/half.partial").write_bytes(b"half")
    assert [info.key for info in store.list_folder("folder")] == ["folder/whole"]
    assert store.create("folder/half", b"whole")
    store.delete_folder("folder")
    assert not (tmp_path / "store/folder").exists()


def test_a_full_disk_is_named_and_leaves_what_was_there(store: FolderStore, tmp_path: Path) -> None:
    tag = store.create("one", b"old")
    assert tag
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    with _files_of_at_most(50_000):
        for write in (
            lambda: store.upload("files/one", source),
            lambda: store.create("two", b"x" * 100_000),
            lambda: store.replace("one", b"x" * 100_000, tag),
        ):
            with pytest.raises(StoreError, match=r"no space is left.*keep fewer") as caught:
                write()
            assert caught.value.reason == "STORE_FULL"
    found = store.read("one")
    assert found is not None
    assert found.data == b"old"
    assert store.list_folder("files") == []


def test_what_is_too_large_is_not_read_into_memory(store: FolderStore, tmp_path: Path) -> None:
    with (tmp_path / "store/large").open("wb") as file:
        file.truncate(folder_store.MAX_SMALL_BYTES + 1)
    with pytest.raises(LimitExceededError, match="not one of ours"):
        store.read("large")


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"file.*cannot be used"):
        FolderStore(tmp_path / "file/store")


def test_an_url_says_which_store(tmp_path: Path) -> None:
    assert open_object_store(str(tmp_path / "new")).url == str(tmp_path / "new")
    for url in ("gs://bucket/x", "s3://A/x", "s3://bucket/a//b"):
        with pytest.raises(InvalidInputError):
            open_object_store(url)


@contextmanager
def _files_of_at_most(size_bytes: int) -> Iterator[None]:
    """The kernel refuses longer files of this process meanwhile, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
