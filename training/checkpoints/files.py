"""The files of one attempt to save: what each rank uploads, and how the parts become a whole."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from uniaudio.errors import CancelledByCallerError, CheckpointError, DeadlineError, InvalidInputError
from uniaudio.file_digest import sha256_of_file
from uniaudio.runtime.object_store import ObjectStore, check_key, create_once, disk_error

ATTEMPTS = "attempts"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """One file of a checkpoint; `name` is its path in the folder that was saved."""

    name: str
    size_bytes: int
    sha256: str
    rank: int = 0

    def __post_init__(self) -> None:
        check_key(self.name)  # a manifest from elsewhere must not lead out of the folder

    def key(self, attempt: str) -> str:
        """Where the attempt keeps it."""
        return f"{ATTEMPTS}/{attempt}/rank-{self.rank:05d}/{self.name}"


def list_files(folder: Path) -> list[Path]:
    """The folder's files, by name; raises InvalidInputError where there is none, or anything but files."""
    found = sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    if not found:
        raise InvalidInputError(f"{folder} holds no file to save; write the checkpoint there first")
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise InvalidInputError(f"{path} is no plain file; a checkpoint holds nothing else")
    return found


def describe_file(path: Path, name: str, rank: int = 0) -> FileInfo:
    """What a manifest says of the file at `path`."""
    try:
        size_bytes, sha256 = path.stat().st_size, sha256_of_file(path)
    except OSError as error:
        raise disk_error(error, path) from error
    return FileInfo(name=name, size_bytes=size_bytes, sha256=sha256, rank=rank)


def upload_part(store: ObjectStore, attempt: str, rank: int, folder: Path, paths: Sequence[Path]) -> None:
    """Uploads one rank's files, and then the list of them that makes the part count."""
    files = []
    for path in paths:
        info = describe_file(path, path.relative_to(folder).as_posix(), rank)
        store.upload(info.key(attempt), path)
        files.append(info)
    data = json.dumps([asdict(file) for file in files]).encode()
    if not create_once(store, _part_key(attempt, rank), data):
        raise CheckpointError(
            f"rank {rank} has saved attempt {attempt} before; every save needs an attempt of its own",
            reason="ATTEMPT_TWICE",
        )


def gather_parts(
    store: ObjectStore, attempt: str, num_ranks: int, timeout_seconds: float, cancel: threading.Event
) -> tuple[FileInfo, ...]:
    """Every rank's files, once all parts are there; raises DeadlineError naming the ranks that are missing."""
    deadline = time.monotonic() + timeout_seconds
    parts: dict[int, list[FileInfo]] = {}
    while True:
        for rank in sorted(set(range(num_ranks)) - set(parts)):
            found = store.read(_part_key(attempt, rank))
            if found is not None:
                parts[rank] = [FileInfo(**file) for file in json.loads(found.data)]
        if len(parts) == num_ranks:
            return _join(parts)
        if time.monotonic() > deadline:
            missing = sorted(set(range(num_ranks)) - set(parts))
            raise DeadlineError(
                f"attempt {attempt}: ranks {missing} of {num_ranks} did not finish their part within "
                f"{timeout_seconds:g} s; see what they say, the checkpoint before stays the latest"
            )
        if cancel.wait(_POLL_SECONDS):
            raise CancelledByCallerError(
                f"attempt {attempt}: the store was closed before every part was there"
            )


def _join(parts: dict[int, list[FileInfo]]) -> tuple[FileInfo, ...]:
    files = tuple(file for rank in sorted(parts) for file in parts[rank])
    twice = [name for name, count in Counter(file.name for file in files).items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"several ranks saved {twice[:3]}; give the files of different ranks different names"
        )
    return files


def _part_key(attempt: str, rank: int) -> str:
    return f"{ATTEMPTS}/{attempt}/part-{rank:05d}.json"
