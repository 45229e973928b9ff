"""A model comes out of a store whole and hashed, once for a machine, whatever stops it on its way."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from tests.memory_store import MemoryStore
from uniaudio.errors import StoreError, UnavailableError
from uniaudio.runtime.models.cache import ModelCache
from uniaudio.runtime.models.fetch import fetch_model, link
from uniaudio.runtime.models.manifest import MANIFEST, describe_folder, parse_manifest
from uniaudio.runtime.models.push import push_model
from uniaudio.runtime.object_store import StoredObject


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for index in range(3):
        (folder / f"model-{index}.safetensors").write_bytes(os.urandom(100_000 + index))
    return folder


class CountingStore(MemoryStore):
    """Remembers what was downloaded, and from which byte on."""

    def __init__(self) -> None:
        super().__init__()
        self.downloads: list[tuple[str, int]] = []

    def download(self, key: str, path: Path, *, resume: bool = False) -> None:
        self.downloads.append((key, path.stat().st_size if path.exists() else 0))
        super().download(key, path, resume=resume)


@pytest.fixture
def store(model: Path) -> CountingStore:
    store = CountingStore()
    push_model(model, store)
    return store


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "cache")


def _same(one: Path, other: Path) -> bool:
    return describe_folder(one) == describe_folder(other)


def test_a_model_arrives_whole_and_is_fetched_once(
    model: Path, store: CountingStore, cache: ModelCache
) -> None:
    place = fetch_model(store, cache)
    assert _same(place, model)
    assert place.name == describe_folder(model).digest
    assert fetch_model(store, cache) == place
    assert len(store.downloads) == 4


def test_a_second_try_goes_on_where_the_first_was_killed(
    model: Path, store: CountingStore, cache: ModelCache, tmp_path: Path
) -> None:
    manifest = describe_folder(model)
    with cache.writing(manifest, wait_seconds=1) as partial:
        (partial / "config.json").write_bytes((model / "config.json").read_bytes())
        (partial / "model-0.safetensors").write_bytes((model / "model-0.safetensors").read_bytes()[:60_000])
        (partial / "model-1.safetensors").write_bytes(bytes(200_000))  # longer than it may be
    assert cache.find(manifest) is None
    assert _same(fetch_model(store, cache), model)
    assert sorted(store.downloads) == [
        ("model-0.safetensors", 60_000),
        ("model-1.safetensors", 0),
        ("model-2.safetensors", 0),
    ]


def test_a_changed_file_is_refused_and_fetched_anew_next_time(
    model: Path, store: CountingStore, cache: ModelCache
) -> None:
    right = store.objects["model-1.safetensors"]
    store.objects["model-1.safetensors"] = bytes(len(right))
    with pytest.raises(StoreError, match=r"model-1\.safetensors is not what its manifest says") as caught:
        fetch_model(store, cache)
    assert caught.value.reason == "MODEL_MISMATCH"
    assert cache.find(describe_folder(model)) is None
    store.objects["model-1.safetensors"] = right
    store.downloads.clear()
    assert _same(fetch_model(store, cache), model)
    assert ("model-1.safetensors", 0) in store.downloads


def test_a_model_that_lost_a_file_is_fetched_anew(
    model: Path, store: CountingStore, cache: ModelCache
) -> None:
    (fetch_model(store, cache) / "config.json").unlink()
    assert _same(fetch_model(store, cache), model)


def test_the_asked_for_model_or_none(model: Path, store: CountingStore, cache: ModelCache) -> None:
    digest = describe_folder(model).digest
    assert fetch_model(store, cache, digest=digest).name == digest
    with pytest.raises(StoreError, match="is asked for") as caught:
        fetch_model(store, cache, digest="0" * 64)
    assert caught.value.reason == "MODEL_MISMATCH"


def test_a_known_model_needs_no_store(model: Path, store: CountingStore, cache: ModelCache) -> None:
    place = fetch_model(store, cache)
    empty = MemoryStore()
    assert fetch_model(empty, cache, digest=place.name) == place
    (place / "config.json").unlink()
    with pytest.raises(StoreError) as caught:
        fetch_model(empty, cache, digest=place.name)
    assert caught.value.reason == "OBJECT_MISSING"


def test_two_processes_fetch_it_once(store: CountingStore, cache: ModelCache, model: Path) -> None:
    manifest, began = describe_folder(model), threading.Event()
    places: list[Path] = []

    def second() -> None:
        began.set()
        places.append(fetch_model(store, cache))

    thread = threading.Thread(target=second)
    with cache.writing(manifest, wait_seconds=1) as partial:
        thread.start()
        began.wait(5)
        for file in manifest.files:
            (partial / file.name).write_bytes((model / file.name).read_bytes())
        cache.settle(manifest)
    thread.join(10)
    assert places == [cache.find(manifest)]
    assert not store.downloads


def test_waiting_for_another_has_an_end(store: CountingStore, cache: ModelCache, model: Path) -> None:
    with cache.writing(describe_folder(model), wait_seconds=1):
        with pytest.raises(UnavailableError, match="another process has been writing"):
            fetch_model(store, cache, wait_seconds=0.01)


def test_older_models_make_room(store: CountingStore, tmp_path: Path) -> None:
    old, older, written = (tmp_path / "cache" / (digit * 64) for digit in "123")
    for age, folder in enumerate((written, older, old)):
        folder.mkdir(parents=True)
        os.utime(folder, (1000 + age, 1000 + age))

    cache = ModelCache(tmp_path / "cache", free_bytes=lambda _: 0 if older.exists() else 2**40)
    with (tmp_path / f"cache/.{written.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # somebody writes it
        fetch_model(store, cache)
    assert written.exists()
    assert not older.exists()
    assert old.exists(), "no more than needed"


def test_too_small_a_disk_is_told_before_anything_is_fetched(store: CountingStore, tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "cache", free_bytes=lambda _: 100)
    with pytest.raises(StoreError, match="larger volume") as caught:
        fetch_model(store, cache)
    assert caught.value.reason == "STORE_FULL"
    assert not store.downloads


def test_a_store_without_a_model_is_told(cache: ModelCache) -> None:
    with pytest.raises(StoreError, match=r"manifest\.json is missing") as caught:
        fetch_model(MemoryStore(), cache)
    assert caught.value.reason == "OBJECT_MISSING"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"files": []}',
        b'{"files": [{"name": "a", "size_bytes": 1}]}',
        b'{"files": [{"name": "a", "size_bytes": -1, "sha256": "%s"}]}' % (b"0" * 64),
        b'{"files": [{"name": "a", "size_bytes": 1, "sha256": "x"}]}',
        b'{"files": [{"name": "../a", "size_bytes": 1, "sha256": "%s"}]}' % (b"0" * 64),
        b'{"files": [{"name": "a/b", "size_bytes": 1, "sha256": "%s"}]}' % (b"0" * 64),
        b'{"files": [{"name": 7, "size_bytes": 1, "sha256": "%s"}]}' % (b"0" * 64),
    ],
    ids=range(9),
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(StoreError, match="no manifest of a model") as caught:
        parse_manifest(content, "s3://models/x/manifest.json")
    assert caught.value.reason == "MODEL_MANIFEST"


def test_a_manifest_reads_as_it_was_written(model: Path, store: CountingStore) -> None:
    manifest = describe_folder(model)
    assert parse_manifest(store.objects[MANIFEST], "here") == manifest
    assert json.loads(manifest.to_bytes())["files"][0]["name"] == "config.json"


def test_a_folder_without_files_is_no_model(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="holds no files"):
            describe_folder(folder)


def test_nothing_of_a_folder_is_left_out_in_silence(model: Path) -> None:
    (model / "more").mkdir()
    with pytest.raises(StoreError, match="holds more"):
        describe_folder(model)


def test_a_model_is_stored_again_and_replaced(model: Path, store: CountingStore, cache: ModelCache) -> None:
    first = fetch_model(store, cache)
    assert push_model(model, store).digest == first.name
    (model / "config.json").write_text('{"other": 1}')
    assert fetch_model(store, cache) == first, "nothing changed yet"
    push_model(model, store)
    assert _same(fetch_model(store, cache), model)


class RacedStore(MemoryStore):
    """Another's manifest comes between the look for one and the writing of ours."""

    def read(self, key: str) -> StoredObject | None:
        found = super().read(key)
        if key == MANIFEST and found is None:
            self.create(MANIFEST, b"another's")
        return found


def test_two_models_at_one_place_are_told(model: Path) -> None:
    with pytest.raises(StoreError, match="another model was stored") as caught:
        push_model(model, RacedStore())
    assert caught.value.reason == "MODEL_MISMATCH"


def test_the_link_moves_from_one_model_to_the_next(tmp_path: Path) -> None:
    at = tmp_path / "models/checkpoint"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        link(tmp_path / name, at)
        assert at.resolve() == tmp_path / name
    assert [path.name for path in at.parent.iterdir()] == ["checkpoint"]


def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(StoreError, match="checkpoint"):
        link(tmp_path, tmp_path / "checkpoint")
