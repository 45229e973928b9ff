"""A room of its own for a whole cluster: processes, mounts and network that end with its first process.

Nothing in it reaches an address outside, and the machine outside sees of it one network link and one folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from tests.machine.programs import MachineError

# What a kubelet sets for the whole machine; in the room it finds them set, and the machine keeps its own.
_SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
# Where programs write whatever they are told; each is empty in the room.
_SCRATCH = ("/run", "/var/log", "/var/lib")
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/24"


@dataclass
class Room:
    """Runs programs inside; `outside` and `inside` are the addresses of the link."""

    folder: Path
    outside: str
    inside: str
    init: int
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _commands: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """A program that runs until the room ends; its output goes to NAME.log in the room's folder."""
        self._commands[name] = command
        with self.log(name).open("ab") as output:
            self._processes[name] = subprocess.Popen(
                self._entered(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )

    def restart(self, name: str) -> None:
        """Kills a program and starts it again as it was."""
        process = self._processes.pop(name)
        (child,) = _children(process.pid)
        os.kill(child, signal.SIGKILL)
        process.wait(timeout=30)
        self.start(name, *self._commands[name])

    def run(self, *command: str, timeout: float = 60.0) -> str:
        """What a command inside prints; MachineError with its words where it fails."""
        result = subprocess.run(
            self._entered(command), capture_output=True, text=True, timeout=timeout, check=False
        )
        if result.returncode:
            raise MachineError(f"{' '.join(command)} failed:\n{result.stdout[-1000:]}{result.stderr[-2000:]}")
        return result.stdout

    def log(self, name: str) -> Path:
        """What a program said."""
        return self.folder / f"{name}.log"

    def check(self) -> None:
        """Raises MachineError where a program has ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                tail = self.log(name).read_text(errors="replace")[-3000:]
                raise MachineError(f"{name} ended with {process.returncode}:\n{tail}")

    def collect(self) -> None:
        """Once the room has ended, so have its programs."""
        for process in self._processes.values():
            process.wait(timeout=60)

    def _entered(self, command: tuple[str, ...]) -> list[str]:
        return ["nsenter", f"--target={self.init}", "--net", "--mount", "--pid", "--", *command]


@contextmanager
def room(folder: Path, init: str) -> Iterator[Room]:
    """A room whose first process is `init`, a program that only reaps. It ends when this process does, too."""
    block = ip_address("10.200.0.0") + 4 * (os.getpid() % 2**14)
    with ExitStack() as stack:
        pid = stack.enter_context(_first_process(init, folder))
        made = Room(folder, str(block + 1), str(block + 2), pid)
        stack.callback(made.collect)
        stack.callback(_kill, pid)
        _furnish(made)
        _link(made, f"ua{os.getpid()}")
        yield made


@contextmanager
def _first_process(init: str, folder: Path) -> Iterator[int]:
    spaces = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation=slave", "--kill-child"]
    command = ["setpriv", "--pdeathsig=KILL", "unshare", *spaces, init, "pause"]
    with (folder / "room.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    try:
        yield _child_of(process)
    finally:
        process.kill()
        process.wait(timeout=60)


def _child_of(process: subprocess.Popen[bytes]) -> int:
    """The process that unshare forked, once it runs `init`."""
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at and process.poll() is None:
        for child in _children(process.pid):
            if b"pause" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                return child
        time.sleep(0.02)
    raise MachineError("no namespaces can be made here: root needs CAP_SYS_ADMIN and CAP_NET_ADMIN")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kill(pid: int) -> None:
    """With the first process of their space all others end."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _furnish(made: Room) -> None:
    settings = made.folder / "sysctl"
    settings.mkdir()
    for name, value in _SYSCTLS.items():
        file = settings / name.replace("/", ".")
        file.write_text(f"{value}\n")
        made.run("mount", "--bind", str(file), f"/proc/sys/{name}")
    for path in _SCRATCH:
        made.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path)


def _link(made: Room, name: str) -> None:
    """One cable between the machine and the room, and ways to pods and Services."""
    _ip("link", "add", name, "type", "veth", "peer", "name", "outside", "netns", str(made.init))
    _ip("address", "add", f"{made.outside}/30", "dev", name)
    _ip("link", "set", name, "up")
    for link in ("lo", "outside"):
        made.run("ip", "link", "set", link, "up")
    made.run("ip", "address", "add", f"{made.inside}/30", "dev", "outside")
    made.run("ip", "route", "add", SERVICES, "dev", "lo")
    made.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30, check=False)
    if result.returncode:
        raise MachineError(f"ip {' '.join(arguments)} failed: {result.stderr.strip()}")
