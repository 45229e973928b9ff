"""A store of objects: whole or absent, created or replaced only by who knows what was there.

Two stores have the same meaning: a local folder (`folder_store`) and S3 (`s3_store`). The two conditional
writes are what leases and publication stand on; everything else is plain.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uniaudio.errors import InvalidInputError, StoreError, UnavailableError, UniaudioError

MAX_SMALL_BYTES = 64 * 2**20  # what `read` takes into memory at most
PARTIAL = ".partial"  # ends the name of a file on its way to its place in a folder
_NAME = re.compile(r"[A-Za-z0-9_.=+-]+")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_AWAY = frozenset({errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN})


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """One object of a listing; `modified_at` in seconds since 1970, by the store's clock."""

    key: str
    size_bytes: int
    modified_at: float


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """A small object's content, and the tag that `replace` asks for."""

    data: bytes
    tag: str


class ObjectStore(Protocol):
    """Objects under keys like `folder/name`. Each appears whole or not at all.

    Every method raises StoreError where a person must act (STORE_DENIED, STORE_MISSING, STORE_FULL,
    STORE_REFUSED) and UnavailableError (STORE_AWAY) where the store stayed away through all retries.
    """

    @property
    def url(self) -> str:
        """Where the store is, as a person would write it."""

    def create(self, key: str, data: bytes) -> str | None:
        """Writes a new object and returns its tag, or None where the key is taken.

        After a lost reply the key may be taken by this very call: who gets None looks at what is there.
        """

    def replace(self, key: str, data: bytes, tag: str) -> str | None:
        """Writes over the object that has `tag` and returns the new tag, or None where it changed."""

    def read(self, key: str) -> StoredObject | None:
        """An object of at most MAX_SMALL_BYTES, or None where there is none."""

    def upload(self, key: str, path: Path) -> None:
        """Stores the file's content under a key that nobody else writes."""

    def download(self, key: str, path: Path, *, resume: bool = False) -> None:
        """Writes the object's content to a new file; StoreError (OBJECT_MISSING) where there is none.

        With `resume`, the file may be there with the beginning of the content, and gets the rest.
        """

    def list_folder(self, folder: str) -> list[ObjectInfo]:
        """Every object below `folder` (a key without a slash at its end), by key."""

    def delete(self, key: str) -> None:
        """Removes an object; nothing happens where there is none."""

    def delete_folder(self, folder: str) -> None:
        """Removes every object below `folder`, and what interrupted uploads left there."""


def open_object_store(url: str) -> ObjectStore:
    """The store at `s3://bucket/prefix` (see `S3Settings`), or in the local folder that `url` names."""
    if url.startswith("s3://"):
        from uniaudio.runtime.s3_store import open_s3_store  # the client is installed where S3 is used

        return open_s3_store(url)
    if "://" in url:
        raise InvalidInputError(
            f"{url!r} names no store; give s3://bucket/prefix or the path of a folder",
            value=url,
            limit="s3://bucket/prefix or the path of a folder",
            remedy="give one of them",
        )
    from uniaudio.runtime.folder_store import FolderStore

    return FolderStore(Path(url).expanduser())


def create_once(store: ObjectStore, key: str, data: bytes) -> bool:
    """Whether `key` now holds `data`, written by this call or an earlier try of it; False: another's."""
    if store.create(key, data) is not None:
        return True
    found = store.read(key)
    return found is not None and found.data == data


def check_key(key: str) -> str:
    """`key`, where it is one that every store can hold: plain names between single slashes."""
    names = key.split("/")
    if len(key) > 900 or not all(_NAME.fullmatch(name) and name not in (".", "..") for name in names):
        raise InvalidInputError(
            f"{key!r} is no key; use letters, digits and _.=+- between single slashes, 900 at most",
            value=key,
            limit="letters, digits and _.=+- between single slashes, 900 at most",
            remedy="choose such a key",
        )
    if names[-1].endswith(PARTIAL):
        raise InvalidInputError(
            f"{key!r} ends in {PARTIAL}, which marks unfinished files; name it otherwise",
            value=key,
            limit=f"keys that do not end in {PARTIAL}",
            remedy="name it otherwise",
        )
    return key


def disk_error(error: OSError, path: Path) -> UniaudioError:
    """What a failed operation on a local disk means to a person."""
    if error.errno in _FULL:
        return StoreError(
            f"no space is left for {path} ({error.strerror}); free some, or keep fewer checkpoints",
            reason="STORE_FULL",
            value=str(path),
            limit="the space of the disk",
            remedy="free some, or keep fewer checkpoints",
        )
    if error.errno in _DENIED:
        return StoreError(
            f"{path} may not be written or read ({error.strerror}); give this user the right to it",
            reason="STORE_DENIED",
            value=str(path),
            limit="what this user may touch",
            remedy="give this user the right to it",
        )
    if error.errno in _AWAY:
        return UnavailableError(
            f"the disk of {path} does not answer ({error.strerror}); see that it is mounted and healthy",
            reason="STORE_AWAY",
            value=str(path),
            limit="a disk that answers",
            remedy="see that it is mounted and healthy",
        )
    return StoreError(
        f"{path} cannot be used: {error.strerror or error}",
        reason="STORE_REFUSED",
        value=str(path),
        limit="a path that can be used",
        remedy="choose another, or mend this one",
    )
