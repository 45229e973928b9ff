"""A model out of an object store: what is there already is kept, what is missing is fetched, all of it is hashed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from uniaudio.errors import StoreError
from uniaudio.file_digest import sha256_of_file
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.models.cache import ModelCache
from uniaudio.runtime.models.manifest import MANIFEST, Manifest, ModelFile, parse_manifest
from uniaudio.runtime.object_store import ObjectStore, disk_error

log = get_logger(__name__)

_FILES_AT_ONCE = 4
_TELL_SECONDS = 10.0


def fetch_model(
    store: ObjectStore, cache: ModelCache, *, digest: str = "", wait_seconds: float = 3600.0
) -> Path:
    """The folder of the store's model, fetched into `cache` where it is not there yet.

    `digest` is what the manifest must have, where the caller knows it; a model of it that is there is taken
    without asking the store. Raises StoreError for a store without a
    model, for another model, for files that are not what the manifest says, and for a disk that is too small.
    """
    manifest = (cache.recall(digest) if digest else None) or _manifest(store, digest)
    if (place := cache.find(manifest)) is not None:
        log.info("the model is here", place=str(place), size_bytes=manifest.size_bytes)
        return place
    with cache.writing(manifest, wait_seconds=wait_seconds) as partial:
        if (place := cache.find(manifest)) is not None:
            return place  # by whom we waited for
        missing = manifest.size_bytes - _bytes_in(partial, manifest.files)
        cache.make_room(manifest, missing)
        log.info("fetching the model", url=store.url, size_bytes=manifest.size_bytes, missing_bytes=missing)
        _fetch_all(store, manifest.files, partial)
        return cache.settle(manifest)


def link(place: Path, at: Path) -> None:
    """Makes the model known under a path that does not change with its content."""
    fresh = at.with_name(f".{at.name}.{os.getpid()}")
    try:
        at.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(place.absolute(), target_is_directory=True)
        fresh.replace(at)
    except OSError as error:
        raise disk_error(error, at) from error


def _manifest(store: ObjectStore, digest: str) -> Manifest:
    found = store.read(MANIFEST)
    if found is None:
        raise StoreError(
            f"{store.url}/{MANIFEST} is missing; put the model there by `python -m uniaudio.runtime.models push`, or "
            "correct the URL",
            reason="OBJECT_MISSING",
            value=f"{store.url}/{MANIFEST}",
            limit="a model with a manifest",
            remedy="put the model there, or correct the URL",
        )
    manifest = parse_manifest(found.data, f"{store.url}/{MANIFEST}")
    if digest and digest != manifest.digest:
        raise StoreError(
            f"{store.url} holds the model {manifest.digest}, and {digest} is asked for; correct the URL or the digest",
            reason="MODEL_MISMATCH",
            value=manifest.digest,
            limit=digest,
            remedy="correct the URL or the digest",
        )
    return manifest


def _fetch_all(store: ObjectStore, files: Sequence[ModelFile], folder: Path) -> None:
    """Several at once; the first failure ends it, and what was fetched stays for the next try."""
    with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="fetch") as pool:
        running = {pool.submit(_fetch, store, file, folder / file.name) for file in files}
        try:
            _follow(running, files, folder)
        finally:
            for future in running:
                future.cancel()


def _follow(running: set[Future[None]], files: Sequence[ModelFile], folder: Path) -> None:
    """Says how far it is until all have ended; raises the first failure."""
    total, before, told_at = (
        sum(file.size_bytes for file in files),
        _bytes_in(folder, files),
        time.monotonic(),
    )
    while running:
        done, running = wait(running, timeout=_TELL_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        have, now = _bytes_in(folder, files), time.monotonic()
        percent = 100 if total == 0 else int(100 * have / total)
        per_second = round(max(0, have - before) / max(now - told_at, 1e-3) / 1e6, 1)
        log.info(
            "fetched", percent=percent, have_bytes=have, size_bytes=total, megabytes_per_second=per_second
        )
        before, told_at = have, now


def _fetch(store: ObjectStore, file: ModelFile, path: Path) -> None:
    have = _bytes_of(path)
    if have > file.size_bytes:
        path.unlink()
    if have != file.size_bytes or not path.exists():
        store.download(file.name, path, resume=True)
    found = sha256_of_file(path)
    if found == file.sha256:
        return
    size_bytes = path.stat().st_size
    path.unlink()  # the next try begins anew
    raise StoreError(
        f"{store.url}/{file.name} is not what its manifest says: {size_bytes} bytes with SHA-256 {found}, and "
        f"{file.size_bytes} with {file.sha256} are due; try again, and store the model anew if that does not help",
        reason="MODEL_MISMATCH",
        value=found,
        limit=file.sha256,
        remedy="try again, or store the model anew",
    )


def _bytes_in(folder: Path, files: Sequence[ModelFile]) -> int:
    return sum(_bytes_of(folder / file.name) for file in files)


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # not begun, or just now put away by the thread that fetches it
        return 0
