"""A stack of tiny services under the real supervisor: whatever ends it, nothing stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from uniaudio.stack.processes import descendants

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0


@dataclass
class TinyStack:
    """A running tests/tiny_stack.py and what it said."""

    process: subprocess.Popen[str]
    temporary: Path
    pids: list[int]
    lines: list[str]

    def read_until(self, beginning: str) -> str:
        """The first line from now on that begins so; what was said before it is kept in `lines`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(beginning):
                self.pids = descendants(self.process.pid) or self.pids
                return self.lines[-1]
        raise AssertionError(f"no line {beginning!r} in {self.lines}")

    def wait(self) -> int:
        """Its exit code; the rest of what it said goes to `lines`."""
        out, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        self.lines += out.splitlines()
        return self.process.returncode

    def daemon(self) -> int:
        """The process that left its service's group and session."""
        return int(next(self.temporary.glob("uniaudio-*/daemon")).read_text())

    def assert_nothing_left(self) -> None:
        """No process that ever was below it, and nothing in the folder for temporary files."""
        until = time.monotonic() + PATIENCE_SECONDS
        left = self.pids
        while left and time.monotonic() < until:
            left = [pid for pid in left if is_alive(pid)]
            time.sleep(0.05)
        assert left == []
        assert list(self.temporary.iterdir()) == []


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


Start = Callable[..., TinyStack]


@pytest.fixture
def ports(free_port: Callable[[], int]) -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def start(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Start]:
    """Starts a stack with `mode` for its second service; whatever a failed test leaves is killed."""
    started: list[TinyStack] = []
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    def make(mode: str = "") -> TinyStack:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.tiny_stack", str(tmp_path / "cache"), *map(str, ports), mode],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        started.append(TinyStack(process, temporary, [], []))
        return started[-1]

    yield make
    for stack in started:
        for pid in [*descendants(stack.process.pid), *stack.pids]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if stack.process.poll() is None:
            stack.process.kill()
        stack.process.wait(timeout=10)
        if stack.process.stdout is not None:
            stack.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    stack = start()
    assert stack.read_until("ready") == "ready True"
    assert stack.lines[1:3] == ["service first", "service second"]
    assert len(stack.pids) == 6  # two guards, two services, two daemons
    assert stack.daemon() in stack.pids
    stack.process.send_signal(number)
    assert stack.wait() == 0
    stack.assert_nothing_left()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_signal_during_the_start(start: Start) -> None:
    stack = start("silent")
    stack.read_until("service first")
    stack.process.send_signal(signal.SIGINT)
    assert stack.wait() == 0
    stack.assert_nothing_left()


def test_a_service_that_ends_ends_all(start: Start) -> None:
    stack = start("dies")
    assert stack.wait() == 1
    text = "\n".join(stack.lines)
    assert "StartupError: second ended with exit code 1" in text
    assert "the disk caught fire" in text
    logs = Path(text.rpartition("All logs, until the next start: ")[2].strip())
    assert {path.name for path in logs.iterdir()} == {"first.log", "second.log"}
    assert [path.name for path in logs.parent.iterdir()] == ["logs"]


@pytest.mark.parametrize("is_guard", [False, True])
def test_a_service_or_guard_that_is_killed_ends_all(start: Start, is_guard: bool) -> None:
    stack = start()
    stack.read_until("ready")
    command = f"tiny_service.py\0{sys_port(stack)}"
    pids = [pid for pid in stack.pids if command in command_of(pid)]
    os.kill(next(pid for pid in pids if ("guard" in command_of(pid)) is is_guard), signal.SIGKILL)
    assert stack.wait() == 1
    code = -9 if is_guard else 137
    assert any(f"first ended with exit code {code}" in line for line in stack.lines)
    assert not any(is_alive(pid) for pid in stack.pids)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def sys_port(stack: TinyStack) -> str:
    assert isinstance(stack.process.args, list)
    return str(stack.process.args[4])


def test_a_stubborn_service_is_killed(start: Start) -> None:
    stack = start("stubborn")
    stack.read_until("ready")
    stack.process.send_signal(signal.SIGTERM)
    assert stack.wait() == 0
    stack.assert_nothing_left()


def test_a_second_signal_hurries(start: Start) -> None:
    stack = start("stubborn")
    stack.read_until("ready")
    stack.process.send_signal(signal.SIGINT)
    stack.read_until("stopping")
    stack.process.send_signal(signal.SIGINT)
    assert stack.wait() == 0
    stack.assert_nothing_left()


def test_a_killed_supervisor_takes_all_with_it(start: Start) -> None:
    stack = start()
    stack.read_until("ready")
    stack.process.kill()
    stack.wait()
    until = time.monotonic() + PATIENCE_SECONDS
    while any(is_alive(pid) for pid in stack.pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in stack.pids)
    assert list(stack.temporary.iterdir()) != []
    second = start()
    second.read_until("ready")
    assert len(list(second.temporary.iterdir())) == 1  # the first one's folder is gone
    second.process.send_signal(signal.SIGINT)
    assert second.wait() == 0
    second.assert_nothing_left()


def test_a_second_start_is_told_about_the_first(start: Start) -> None:
    first = start()
    first.read_until("ready")
    second = start()
    assert second.wait() == 1
    text = "\n".join(second.lines)
    assert f"already running at 127.0.0.1:{sys_port(first)} (process {first.process.pid})" in text
    assert "--base-port" in text
    first.process.send_signal(signal.SIGINT)
    assert first.wait() == 0
    first.assert_nothing_left()


def test_a_busy_port_is_named(start: Start, ports: tuple[int, int]) -> None:
    with socket.create_server(("127.0.0.1", ports[1])):
        stack = start()
        assert stack.wait() == 1
    text = "\n".join(stack.lines)
    assert f"port {ports[1]} on 127.0.0.1 (tokenizer) is in use" in text
    assert "--base-port" in text
    assert "UNIAUDIO_TOKENIZER_PORT" in text
    stack.assert_nothing_left()


def test_a_start_without_end_is_given_up(start: Start) -> None:
    stack = start("silent")
    assert stack.wait() == 1
    text = "\n".join(stack.lines)
    assert "DeadlineError: second was not ready within 3 s: port" in text
    assert "--timeout" in text
