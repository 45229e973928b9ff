"""One stack per set of ports: a second start is told about the first."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from uniaudio.errors import StartupError
from uniaudio.stack import run_folder


@dataclass(frozen=True, kw_only=True)
class Running:
    """What a running stack says about itself in its lock file."""

    pid: int
    address: str
    run_folder: str


class StackLock:
    """Held from start to stop; the kernel gives it back should its holder be killed."""

    def __init__(self, folder: Path, port: int) -> None:
        self._path = folder / f"up-{port}.lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock; StartupError names the stack that has it. Clears what a killed holder left behind."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                other = _read(file)
                os.close(file)
                raise _already_running(other) from error
            if self._is_current(file):
                break
            os.close(file)  # its holder removed it between our opening and our locking
        self._file = file
        left = _read(file)
        if left is not None:
            _remove_run_folder(left.run_folder)

    def describe(self, running: Running) -> None:
        """Writes down who holds it."""
        assert self._file is not None
        content = json.dumps(asdict(running)).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)

    def release(self) -> None:
        """Gives the lock back and removes its file."""
        if self._file is None:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


def _read(file: int) -> Running | None:
    with contextlib.suppress(ValueError, TypeError):  # empty or half written: its holder is just starting
        return Running(**json.loads(os.pread(file, 65536, 0)))
    return None


def _already_running(other: Running | None) -> StartupError:
    if other is None:
        return StartupError(
            "another `uniaudio up` is just starting with these ports; wait for it, or choose others with --base-port",
            reason="ALREADY_RUNNING",
        )
    return StartupError(
        f"uniaudio is already running at {other.address} (process {other.pid}): use it, stop it with Ctrl-C or "
        f"`kill {other.pid}`, or start a second one with another --base-port",
        reason="ALREADY_RUNNING",
        pid=other.pid,
        address=other.address,
    )


def _remove_run_folder(path: str) -> None:
    """Removes what a killed stack could not; only a folder that has our name is touched."""
    folder = Path(path)
    if folder.name.startswith(run_folder.PREFIX) and not folder.is_symlink():
        run_folder.remove(folder)
