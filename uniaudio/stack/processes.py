"""What Linux knows about processes: children of children, memory, and ties between parent and child."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")


def die_with_parent(parent: int) -> None:
    """Asks the kernel for a SIGTERM when the thread that started this process ends; exits if it already has."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of whatever its descendants leave behind, daemons of their own included."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def descendants(pid: int) -> list[int]:
    """Every living process below `pid`, parents before children."""
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent, state in _table():
        if state != "Z":
            children[parent].append(child)
    found, queue = [], [pid]
    while queue:
        for child in children[queue.pop()]:
            found.append(child)
            queue.append(child)
    return found


def _table() -> Iterable[tuple[int, int, str]]:
    """(pid, parent's pid, state) of every process."""
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name, in parentheses, may hold anything; what follows it has no parentheses.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between two looks
        yield int(folder.name), int(fields[1]), fields[0]


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes together, shared pages counted once (proportional set size)."""
    total = 0
    for pid in pids:
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """A signal to each; those that have ended are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_descendants(*, patience_seconds: float) -> int:
    """Ends and reaps everything below this process: SIGTERM, patience, SIGKILL. How many were left to end."""
    left = descendants(os.getpid())
    count = len(left)
    send(left, signal.SIGTERM)
    until = time.monotonic() + patience_seconds
    while left:
        reap()
        left = descendants(os.getpid())
        if time.monotonic() > until:
            # In a loop, for a process may start another just before it ends.
            send(left, signal.SIGKILL)
        if left:
            time.sleep(0.02)
    reap()
    return count


def reap() -> dict[int, int]:
    """Collects children that have ended: exit codes by pid, 128 + the signal's number for killed ones."""
    codes: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return codes
        if pid == 0:
            return codes
        code = os.waitstatus_to_exitcode(status)
        codes[pid] = 128 - code if code < 0 else code
