"""One holder at a time; a killed holder's rest is cleared, and nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from uniaudio.errors import StartupError
from uniaudio.stack.lock import Running, StackLock

RUNNING = Running(pid=42, address="127.0.0.1:1", run_folder="/nowhere")


def test_second_holder_is_told_about_the_first(tmp_path: Path) -> None:
    first, second = StackLock(tmp_path, 1), StackLock(tmp_path, 1)
    first.acquire()
    with pytest.raises(StartupError, match="just starting"):
        second.acquire()
    first.describe(RUNNING)
    with pytest.raises(StartupError, match=r"already running at 127.0.0.1:1 .process 42."):
        second.acquire()
    other_ports = StackLock(tmp_path, 2)
    other_ports.acquire()
    other_ports.release()
    first.release()
    assert list(tmp_path.iterdir()) == []
    second.acquire()
    second.release()


@pytest.mark.parametrize(("name", "is_removed"), [("uniaudio-abc", True), ("other", False)])
def test_what_a_killed_holder_left(tmp_path: Path, name: str, is_removed: bool) -> None:
    folder = tmp_path / name
    folder.mkdir()
    described = {"pid": 42, "address": "127.0.0.1:1", "run_folder": str(folder)}
    (tmp_path / "up-1.lock").write_text(json.dumps(described))
    lock = StackLock(tmp_path, 1)
    lock.acquire()
    assert folder.exists() is not is_removed
    lock.release()


def test_a_lock_file_of_nonsense_does_not_stop_a_start(tmp_path: Path) -> None:
    (tmp_path / "up-1.lock").write_text("{")
    lock = StackLock(tmp_path, 1)
    lock.acquire()
    lock.release()
