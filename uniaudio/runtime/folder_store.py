"""An object store in a local folder: the embedded default.

An object is a file that was written beside its place, flushed to disk and renamed. Conditional writes hold
a lock of the folder meanwhile; the kernel frees it when its process ends, so nobody waits for the dead.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uniaudio.errors import LimitExceededError, StoreError, UnavailableError
from uniaudio.runtime.object_store import (
    MAX_SMALL_BYTES,
    PARTIAL,
    ObjectInfo,
    StoredObject,
    check_key,
    disk_error,
)

_CHUNK_BYTES = 2**20
_LOCK_SECONDS = 30.0


class FolderStore:
    """Objects as files below `root`, which is made where it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        with _named(self._root):
            self._root.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self._root)

    def create(self, key: str, data: bytes) -> str | None:
        """See ObjectStore."""
        path = self._path(key)
        with _named(path), self._locked():
            if path.exists():
                return None
            self._write(path, data)
        return _tag(data)

    def replace(self, key: str, data: bytes, tag: str) -> str | None:
        """See ObjectStore."""
        path = self._path(key)
        with _named(path), self._locked():
            if not path.exists() or _tag(path.read_bytes()) != tag:
                return None
            self._write(path, data)
        return _tag(data)

    def read(self, key: str) -> StoredObject | None:
        """See ObjectStore."""
        path = self._path(key)
        with _named(path):
            try:
                with path.open("rb") as file:
                    data = file.read(MAX_SMALL_BYTES + 1)
            except FileNotFoundError:
                return None
        if len(data) > MAX_SMALL_BYTES:
            raise LimitExceededError(
                f"{path} has more than {MAX_SMALL_BYTES} bytes; it is not one of ours",
                value=str(path),
                limit=f"{MAX_SMALL_BYTES} bytes",
                remedy="take it out of the store",
            )
        return StoredObject(data=data, tag=_tag(data))

    def upload(self, key: str, path: Path) -> None:
        """See ObjectStore."""
        place = self._path(key)
        with _named(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, _partial(place))
            self._settle(place)

    def download(self, key: str, path: Path, *, resume: bool = False) -> None:
        """See ObjectStore."""
        place = self._path(key)
        if not place.is_file():
            raise StoreError(
                f"{place} is missing; see who removed it",
                reason="OBJECT_MISSING",
                value=str(place),
                limit="objects that exist",
                remedy="see who removed it",
            )
        with _named(path), place.open("rb") as source, path.open("ab" if resume else "wb") as file:
            source.seek(file.tell())
            shutil.copyfileobj(source, file, _CHUNK_BYTES)

    def list_folder(self, folder: str) -> list[ObjectInfo]:
        """See ObjectStore."""
        place = self._path(folder)
        found = []
        with _named(place):
            for path in place.rglob("*"):
                try:
                    status = path.stat()
                except FileNotFoundError:  # removed meanwhile
                    continue
                if path.is_file() and not path.name.endswith(PARTIAL):
                    key = path.relative_to(self._root).as_posix()
                    found.append(ObjectInfo(key=key, size_bytes=status.st_size, modified_at=status.st_mtime))
        return sorted(found, key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        path = self._path(key)
        with _named(path):
            path.unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """See ObjectStore."""
        place = self._path(folder)
        with _named(place):
            if place.is_dir():
                shutil.rmtree(place)

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _partial(path).write_bytes(data)
        self._settle(path)

    def _settle(self, path: Path) -> None:
        """Puts what lies beside `path` into its place, so that a power cut leaves all of it or nothing."""
        with _partial(path).open("rb") as file:
            os.fsync(file.fileno())
        _partial(path).rename(path)
        for folder in path.relative_to(self._root).parents:  # any of them may be new
            flush_folder(self._root / folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the folder's lock; raises UnavailableError when it is not free in time."""
        deadline = time.monotonic() + _LOCK_SECONDS
        with (self._root / ".lock").open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise UnavailableError(
                            f"{self._root}/.lock was held for {_LOCK_SECONDS:g} s; see which process hangs",
                            reason="STORE_AWAY",
                            value=f"{self._root}/.lock",
                            limit=f"{_LOCK_SECONDS:g} s",
                            remedy="see which process hangs",
                        ) from None
                    time.sleep(0.01)
            yield


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def flush_folder(folder: Path) -> None:
    """Makes the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
