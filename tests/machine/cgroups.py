"""A control group of a cluster's own, below which its pods are, in whichever way the machine has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine.programs import MachineError

_MOUNT = Path("/sys/fs/cgroup")


@contextmanager
def control_group(name: str) -> Iterator[str]:
    """Its path as the kubelet names it. What pods left in it goes at the end; nothing may run there by then."""
    folders = [hierarchy / name for hierarchy in _hierarchies()]
    try:
        for folder in folders:
            folder.mkdir()
            for setting in ("cpuset.cpus", "cpuset.mems"):  # without them no process may enter
                if (folder.parent / setting).exists() and (folder / setting).exists():
                    (folder / setting).write_text((folder.parent / setting).read_text())
        yield f"/{name}"
    finally:
        for folder in folders:
            _remove(folder)


def remove_left(prefix: str, is_left: Callable[[str], bool]) -> None:
    """Removes groups that a killed process left: those whose name, after the prefix, says so."""
    for hierarchy in _hierarchies():
        for folder in hierarchy.glob(f"{prefix}*"):
            if is_left(folder.name.removeprefix(prefix)):
                _remove(folder)


def _hierarchies() -> list[Path]:
    """One of version 2, or all those of version 1."""
    if (_MOUNT / "cgroup.controllers").exists():
        return [_MOUNT]
    # cpu and cpu,cpuacct may be two names of one hierarchy.
    found = {path.resolve() for path in _MOUNT.iterdir() if (path / "cgroup.procs").exists()}
    if not found:
        raise MachineError(f"{_MOUNT} has no control groups: mount them, pods need them")
    return sorted(found)


def _remove(folder: Path) -> None:
    """From the leaves up. The kernel needs a moment after the last process of a group has ended."""
    ends_at = time.monotonic() + 20
    while folder.exists():
        try:
            for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
                path.rmdir()
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if time.monotonic() > ends_at:
                raise MachineError(f"the control group {folder} stays: {error}") from error
            time.sleep(0.1)
