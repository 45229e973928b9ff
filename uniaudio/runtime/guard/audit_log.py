"""The audit log of one process: a file of chained records, to which is only ever added.

Each replica has a file and a chain of its own. A full file is renamed, and the next one goes on with its
chain. Whoever can write the file can also compute a new chain, and can cut records off its end: what shows
either are anchors, number and hash of a record, which go to the process's ordinary log once a minute.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uniaudio.errors import StartupError, UnavailableError
from uniaudio.runtime.guard.audit_chain import MAX_LINE_BYTES, ChainError, Link, chained, follow, start_of
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

_ANCHOR_SECONDS = 60.0
_NUMBER_DIGITS = 12


class AuditLog:
    """Appends records. Safe to use from several threads.

    A record reaches the kernel before `append` returns, so it survives the end of the process; `sync`
    brings it to the disk. Raises StartupError for a file that another process writes, or that is damaged.
    """

    def __init__(self, path: Path, *, max_bytes: int = 64 << 20) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._anchored_at = time.monotonic()
        self._is_synced = True
        self._failure: OSError | None = None
        self._file, self._size, self._link = _open(path)
        self._anchored = self._link
        self.append({"kind": "start"})

    @property
    def link(self) -> Link:
        """Where the chain stands."""
        return self._link

    def check(self) -> None:
        """Raises UnavailableError while records cannot be written: nothing is done that leaves no record."""
        failure = self._failure
        if failure is None:
            return
        try:
            self.append({"kind": "resumed", "cause": str(failure)})
        except OSError as error:
            raise UnavailableError(
                f"the audit log cannot be written ({error.strerror}), so no call is served; try again later",
                reason="AUDIT_LOG_AWAY",
                value="no record",
                limit="a record of every call",
                remedy="try again later; whoever runs the service must make room for its audit log",
            ) from error

    def append(self, fields: Mapping[str, Any]) -> None:
        """Adds a record. Raises OSError where it could not be written; the file stays whole then."""
        with self._lock:
            if self._size >= self._max_bytes:
                self._rotate()
            self._write({"time": _now(), **fields})
            now = time.monotonic()
            if now - self._anchored_at >= _ANCHOR_SECONDS:
                self._anchored_at = now
                self._tell_anchor()

    def sync(self) -> None:
        """Brings what was appended to the disk; may take a while, in which records can be appended."""
        with self._lock:
            if self._is_synced:
                return
            self._is_synced = True
            file = os.dup(self._file)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Ends the log with its last anchor."""
        self.sync()
        with self._lock:
            if self._link != self._anchored:
                self._tell_anchor()
            os.close(self._file)

    def _write(self, fields: Mapping[str, Any]) -> None:
        line, link = chained(self._link, fields)
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(None, f"{written} of {len(line)} bytes were written")
        except OSError as error:
            self._failure = error
            os.ftruncate(self._file, self._size)  # half a record would break the chain
            raise
        self._failure = None
        self._is_synced = False
        self._size += len(line)
        self._link = link

    def _rotate(self) -> None:
        """Names the full file after its last record, and goes on in a new one."""
        self._write({"time": _now(), "kind": "end"})
        os.fdatasync(self._file)
        name = f"{self._path.name}.{self._link.number:0{_NUMBER_DIGITS}d}"
        self._path.rename(self._path.with_name(name))
        os.close(self._file)
        self._file = _create(self._path)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._size = 0
        self._tell_anchor()
        self._write({"time": _now(), "kind": "begin", "previous_file": name})

    def _tell_anchor(self) -> None:
        self._anchored = self._link
        log.info("audit anchor", file=self._path.name, anchor=str(self._link))


def _open(path: Path) -> tuple[int, int, Link]:
    """The file, its size, and where its chain stands; a last line that was not written whole is cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _create(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise StartupError(
            f"the audit log {path} is written by another process; give each process its own with UNIAUDIO_AUDIT_LOG",
            reason="AUDIT_LOG_TAKEN",
            path=path,
        ) from error
    size = os.fstat(file).st_size
    tail = os.pread(file, 2 * MAX_LINE_BYTES, max(0, size - 2 * MAX_LINE_BYTES))
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        log.warning("half a record at the end of the audit log is cut off", bytes=len(tail) - whole)
        size -= len(tail) - whole
        os.ftruncate(file, size)
    try:
        link = _last_link(tail[:whole]) if size else _last_link(_end_of_newest(path))
    except ChainError as error:
        os.close(file)
        raise StartupError(
            f"the last record of the audit log {path} is damaged: {error.why}; run `uniaudio audit verify {path}`, "
            "and move the files of this log away to begin a new one",
            reason="AUDIT_LOG_DAMAGED",
            path=path,
        ) from error
    return file, size, link


def _last_link(lines: bytes) -> Link:
    last = lines.splitlines(keepends=True)[-1:]
    return follow(start_of(last[0]), last[0], 1)[0] if last else Link()


def _end_of_newest(path: Path) -> bytes:
    """The end of the newest full file: a process that ended between two files left its chain there."""
    newest = max(path.parent.glob(f"{path.name}.{'[0-9]' * _NUMBER_DIGITS}"), default=None)
    if newest is None:
        return b""
    with newest.open("rb") as file:
        file.seek(max(0, newest.stat().st_size - 2 * MAX_LINE_BYTES))
        return file.read()


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
