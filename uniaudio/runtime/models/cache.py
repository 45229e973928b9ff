"""A folder that holds models for all processes of a machine: each whole under its digest, or not yet there."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from uniaudio.errors import StoreError, UnavailableError
from uniaudio.runtime.folder_store import flush_folder
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.models.manifest import Manifest, parse_manifest
from uniaudio.runtime.object_store import PARTIAL, disk_error
from uniaudio.whole_file import write_whole

log = get_logger(__name__)

_POLL_SECONDS = 0.2


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class ModelCache:
    """Models by digest. Any number of processes may use it; one at a time writes a given model."""

    def __init__(self, folder: Path, *, free_bytes: Callable[[Path], int] = _free_bytes) -> None:
        self._folder = folder
        self._free_bytes = free_bytes

    def find(self, manifest: Manifest) -> Path | None:
        """The folder of a model that is there, every file of the size that the manifest says."""
        place = self._folder / manifest.digest
        for file in manifest.files:
            path = place / file.name
            if not path.is_file() or path.stat().st_size != file.size_bytes:
                return None
        return place

    def recall(self, digest: str) -> Manifest | None:
        """The manifest of that digest, where its model was fetched once."""
        path = self._manifest_path(digest)
        try:
            return parse_manifest(path.read_bytes(), str(path)) if path.is_file() else None
        except OSError as error:
            raise disk_error(error, path) from error

    @contextmanager
    def writing(self, manifest: Manifest, *, wait_seconds: float) -> Iterator[Path]:
        """The folder to write a model into, alone, with whatever an earlier try left there.

        Raises UnavailableError where another process writes it for longer than `wait_seconds`.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._lock_path(manifest.digest).open("a") as file:
                _lock(file.fileno(), self._folder, wait_seconds)
                partial = self._folder / (manifest.digest + PARTIAL)
                partial.mkdir(exist_ok=True)
                yield partial
        except OSError as error:
            raise disk_error(error, self._folder) from error

    def settle(self, manifest: Manifest) -> Path:
        """Gives a model whose files are all right its place, so that a power cut leaves all of it or none."""
        partial, place = self._folder / (manifest.digest + PARTIAL), self._folder / manifest.digest
        for path in partial.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        flush_folder(partial)
        if place.exists():  # with a file missing, or of another size
            shutil.rmtree(place)
        write_whole(self._manifest_path(manifest.digest), manifest.to_bytes())
        partial.rename(place)
        flush_folder(self._folder)
        return place

    def make_room(self, manifest: Manifest, num_bytes: int) -> None:
        """Sees that `num_bytes` more fit, and removes the models that were fetched longest ago where they do not.

        Raises StoreError (STORE_FULL) where they do not fit even then.
        """
        others = [
            path
            for path in self._folder.iterdir()
            if path.is_dir() and not path.name.startswith(manifest.digest)
        ]
        for path in sorted(others, key=lambda path: path.stat().st_mtime):
            if self._free_bytes(self._folder) >= num_bytes:
                return
            self._remove(path)
        free = self._free_bytes(self._folder)
        if free < num_bytes:
            raise StoreError(
                f"the model needs {num_bytes / 1e9:.1f} GB more in {self._folder}, and {free / 1e9:.1f} GB are free; "
                "give the cache a larger volume (model.cache in the chart)",
                reason="STORE_FULL",
                value=f"{num_bytes} bytes",
                limit=f"{free} bytes free",
                remedy="give the cache a larger volume",
            )

    def _manifest_path(self, digest: str) -> Path:
        return self._folder / f".{digest}.json"

    def _lock_path(self, digest: str) -> Path:
        return self._folder / f".{digest}.lock"

    def _remove(self, path: Path) -> None:
        """Removes a model, or what was left of one; whose process still writes it, stays."""
        with self._lock_path(path.name.removesuffix(PARTIAL)).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            log.info("removing a model to make room", place=str(path))
            shutil.rmtree(path)


def _lock(file: int, folder: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"another process has been writing the model into {folder} for {wait_seconds:g} s; see whether it "
                    "gets on",
                    reason="MODEL_BUSY",
                    value=f"{wait_seconds:g} s",
                    limit="a free cache",
                    remedy="see whether it gets on, or allow more time",
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return
