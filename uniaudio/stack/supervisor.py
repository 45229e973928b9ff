"""Starts the services of a plan, watches them, and stops them without leaving anything behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uniaudio.errors import DeadlineError, StartupError, UniaudioError
from uniaudio.stack.plan import Service, StackPlan
from uniaudio.stack.processes import adopt_orphans, descendants, end_descendants, memory_bytes, send
from uniaudio.stack.run_folder import LOGS

Probe = Callable[[float], None]

_TAIL_LINES = 20
_SHARED_MEMORY = Path("/dev/shm")
_POLL_SECONDS = 0.2
_PROBE_SECONDS = 60.0
# After its service's grace, what a guard gets to clear up.
_GUARD_SECONDS = 10.0


@dataclass(frozen=True)
class Child:
    """A service that was started, by its guard's process."""

    service: Service
    guard: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


class Supervisor:
    """The services of one plan as processes: `start`, `wait_ready`, `watch`, and always `stop`.

    Everything a service starts ends with it, and everything ends with this process, killed or not.
    `run_folder` takes logs and temporary files; the caller makes and removes it.
    """

    def __init__(self, plan: StackPlan, run_folder: Path) -> None:
        self._plan = plan
        self._logs = run_folder / LOGS
        self._temporary = run_folder
        self._children: list[Child] = []

    def start(self) -> None:
        """Starts every service; none is ready yet."""
        adopt_orphans()
        self._logs.mkdir(exist_ok=True)
        for service in self._plan.services:
            self._children.append(self._start(service))

    def _start(self, service: Service) -> Child:
        log = self._logs / f"{service.name}.log"
        command = (
            *(sys.executable, "-m", "uniaudio.stack.guard", str(os.getpid()), str(service.grace_seconds)),
            *service.command,
        )
        environment = {**self._plan.environment, "TMPDIR": str(self._temporary)}
        with log.open("wb") as output:
            guard = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        return Child(service, guard, log)

    def wait_ready(
        self,
        probes: Mapping[str, Probe],
        *,
        timeout_seconds: float,
        on_ready: Callable[[str, float], None] = lambda _name, _seconds: None,
    ) -> None:
        """Returns when every service passed its probe; `on_ready` is told name and seconds since now.

        Raises StartupError when a service ends, and DeadlineError (with the probe's last complaint) when time is up.
        """
        began = time.monotonic()
        for name in [child.service.name for child in self._children]:
            self._wait_for(name, probes[name], began + timeout_seconds, timeout_seconds)
            on_ready(name, time.monotonic() - began)

    def _wait_for(self, name: str, probe: Probe, until: float, timeout_seconds: float) -> None:
        complaint = "nothing yet"
        while (left := until - time.monotonic()) > 0:
            self.check_alive()
            try:
                probe(min(left, _PROBE_SECONDS))
            except UniaudioError as error:
                complaint = error.message
                time.sleep(_POLL_SECONDS)
            else:
                return
        child = next(child for child in self._children if child.service.name == name)
        raise DeadlineError(
            f"{name} was not ready within {timeout_seconds:g} s: {complaint}; allow more with --timeout. "
            f"The end of its log:\n{child.tail()}",
            value=timeout_seconds,
        )

    def check_alive(self) -> None:
        """Returns while every service runs; raises StartupError naming the one that ended, with its log's end."""
        for child in self._children:
            code = child.guard.poll()
            if code is not None:
                raise StartupError(
                    f"{child.service.name} ended with exit code {code}. The end of its log:\n{child.tail()}",
                    reason="SERVICE_ENDED",
                    value=code,
                )

    def watch(self) -> None:
        """Never returns: raises StartupError when a service ends, or what a signal's handler raises."""
        while True:
            self.check_alive()
            time.sleep(_POLL_SECONDS)

    @property
    def pids(self) -> Sequence[int]:
        """Every process of the stack, this one left out."""
        return descendants(os.getpid())

    def memory_bytes(self) -> int:
        """Memory of the whole stack, shared pages counted once."""
        return memory_bytes(self.pids)

    def stop(self) -> None:
        """Stops the services in reverse order of their start, and ends whatever is left of them."""
        for child in reversed(self._children):
            if child.guard.poll() is None:
                child.guard.send_signal(signal.SIGTERM)
            try:
                child.guard.wait(timeout=child.service.grace_seconds + _GUARD_SECONDS)
            except subprocess.TimeoutExpired:
                child.guard.kill()  # what it guarded comes to us, and ends below
                child.guard.wait(timeout=_GUARD_SECONDS)
        end_descendants(patience_seconds=1.0)
        for service in self._plan.services:
            if service.shared_memory:
                for path in _SHARED_MEMORY.glob(f"{service.shared_memory}*"):
                    path.unlink(missing_ok=True)

    def hurry(self) -> None:
        """Makes a stop that is under way kill instead of wait."""
        send([child.guard.pid for child in self._children if child.guard.poll() is None], signal.SIGTERM)
