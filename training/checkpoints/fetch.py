"""Brings a checkpoint from the store into a folder: whole and verified, or not at all."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from training.checkpoints.files import FileInfo, describe_file
from training.checkpoints.journal import CheckpointInfo
from uniaudio.errors import CheckpointError, InvalidInputError, StoreError
from uniaudio.runtime.object_store import ObjectStore, disk_error


def fetch_checkpoint(store: ObjectStore, info: CheckpointInfo, folder: Path) -> None:
    """The checkpoint's files in `folder`, which must be absent or empty.

    Raises CheckpointError naming the file that is missing or is not what was saved, and StoreError
    (STORE_FULL) before a download that the disk has no room for.
    """
    incoming = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        _make_room(folder, info.size_bytes)
        incoming.mkdir()
        for file in info.files:
            _fetch_file(store, info, file, incoming / file.name)
        incoming.rename(folder)  # takes the place of an empty folder too
    except OSError as error:
        raise disk_error(error, folder) from error
    finally:
        shutil.rmtree(incoming, ignore_errors=True)  # gone already where all went well


def _make_room(folder: Path, size_bytes: int) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInputError(f"{folder} is not empty; give a new folder for the checkpoint")
    folder.parent.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder.parent).free
    if free_bytes < size_bytes:
        raise StoreError(
            f"the checkpoint has {size_bytes} bytes and {folder.parent} has room for {free_bytes}; free some",
            reason="STORE_FULL",
        )


def _fetch_file(store: ObjectStore, info: CheckpointInfo, file: FileInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        store.download(file.key(info.attempt), path)
    except StoreError as error:
        if error.reason != "OBJECT_MISSING":
            raise
        raise _damage(store, info, f"{file.name} is missing") from error
    found = describe_file(path, file.name, file.rank)
    if found.size_bytes != file.size_bytes:
        raise _damage(store, info, f"{file.name} has {found.size_bytes} bytes of {file.size_bytes}")
    if found.sha256 != file.sha256:
        raise _damage(store, info, f"{file.name} is not what was saved: its SHA-256 differs")


def _damage(store: ObjectStore, info: CheckpointInfo, what: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {info.number} (step {info.step}) of {store.url} is damaged: {what}; use the one before",
        reason="CHECKPOINT_DAMAGED",
        step=info.step,
    )
