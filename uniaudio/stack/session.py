"""One life of a stack: lock, checks, start, warm-up, the long wait, and a stop that leaves nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uniaudio.errors import UniaudioError
from uniaudio.stack.checks import check_ports
from uniaudio.stack.lock import Running, StackLock
from uniaudio.stack.plan import StackPlan
from uniaudio.stack.run_folder import LOGS, make_run_folder, remove
from uniaudio.stack.stop_signals import StopRequested, StopSignals
from uniaudio.stack.supervisor import Probe, Supervisor


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What is known once every service answered its warm-up request."""

    startup_seconds: float
    memory_bytes: int
    run_folder: Path


class Listener(Protocol):
    """Is told how a stack fares."""

    def started(self, run_folder: Path) -> None:
        """The services' processes are there; their logs go to `run_folder`."""

    def service_ready(self, name: str, seconds: float) -> None:
        """A service answered its warm-up request."""

    def ready(self, ready: Ready) -> None:
        """All did."""

    def stopping(self) -> None:
        """The stop has begun."""


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How a stack is run: where its lock lies, how long its start may take, and whether logs stay."""

    lock_folder: Path
    timeout_seconds: float = 300.0
    keep_logs: bool = False


def run_stack(
    plan: StackPlan,
    probes: Mapping[str, Probe],
    listener: Listener,
    options: SessionOptions,
) -> None:
    """Runs a stack until SIGINT, SIGTERM or SIGHUP asks for its end, then returns.

    Raises StartupError or DeadlineError once everything is stopped; logs stay then, and the message says where.
    """
    port = plan.ports["UNIAUDIO_ORCHESTRATOR_PORT"]
    lock = StackLock(options.lock_folder, port)
    with StopSignals() as signals:
        lock.acquire()
        try:
            check_ports(plan)
            run_folder = make_run_folder(port)
            try:
                lock.describe(Running(pid=os.getpid(), address=plan.orchestrator, run_folder=str(run_folder)))
                supervisor = Supervisor(plan, run_folder)
                _live(supervisor, probes, listener, run_folder, options.timeout_seconds, signals)
            except StopRequested:
                remove(run_folder, keep_logs=options.keep_logs)
            except UniaudioError as error:
                remove(run_folder, keep_logs=True)
                raise _with_logs(error, run_folder) from error
            except BaseException:
                remove(run_folder, keep_logs=options.keep_logs)
                raise
        finally:
            lock.release()


def _live(
    supervisor: Supervisor,
    probes: Mapping[str, Probe],
    listener: Listener,
    run_folder: Path,
    timeout_seconds: float,
    signals: StopSignals,
) -> None:
    """From the first process to the last; raises StopRequested, or what ended the stack."""
    began = time.monotonic()
    try:
        supervisor.start()
        with signals.interruptible():
            listener.started(run_folder)
            supervisor.wait_ready(probes, timeout_seconds=timeout_seconds, on_ready=listener.service_ready)
            seconds = time.monotonic() - began
            listener.ready(
                Ready(startup_seconds=seconds, memory_bytes=supervisor.memory_bytes(), run_folder=run_folder)
            )
            supervisor.watch()
    finally:
        signals.on_again = supervisor.hurry
        listener.stopping()
        supervisor.stop()


def _with_logs(error: UniaudioError, run_folder: Path) -> UniaudioError:
    if not (run_folder / LOGS).is_dir():
        return error
    text = f"{error.message}\nAll logs, until the next start: {run_folder / LOGS}"
    return type(error)(text, reason=error.reason, **error.metadata)
