"""Two tiny services under the real supervisor, as `uniaudio up` runs the real ones.

usage: python tests/tiny_stack.py LOCK_FOLDER FIRST_PORT SECOND_PORT [MODE_OF_THE_SECOND]
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.stack.plan import Service, StackPlan
from uniaudio.stack.session import Ready, SessionOptions, run_stack

SERVICE = Path(__file__).with_name("tiny_service.py")


class Lines:
    """Says everything on standard output, a line each."""

    def started(self, run_folder: Path) -> None:
        """Tells the folder."""
        say(f"started {run_folder}")

    def service_ready(self, name: str, seconds: float) -> None:
        """Tells the name."""
        say(f"service {name}")

    def ready(self, ready: Ready) -> None:
        """Tells that memory was measured."""
        say(f"ready {ready.memory_bytes > 0}")

    def stopping(self) -> None:
        """Tells it."""
        say("stopping")


def say(text: str) -> None:
    """A line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(lock_folder: str, first: str, second: str, mode: str = "") -> int:
    """The exit code of a stack: 0 after a signal, 1 after an error."""
    ports = {"UNIAUDIO_ORCHESTRATOR_PORT": int(first), "UNIAUDIO_TOKENIZER_PORT": int(second)}
    services = tuple(
        Service(
            name=name,
            command=(sys.executable, str(SERVICE), port, service_mode),
            grace_seconds=1.0 if mode == "stubborn" else 15.0,
        )
        for name, port, service_mode in (("first", first, ""), ("second", second, mode))
    )
    plan = StackPlan(services=services, host="127.0.0.1", ports=ports, environment=dict(os.environ))

    def probe(port: str) -> None:
        try:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
        except OSError as error:
            raise UnavailableError(f"port {port}: {error}") from error

    probes = {"first": lambda _: probe(first), "second": lambda _: probe(second)}
    options = SessionOptions(lock_folder=Path(lock_folder), timeout_seconds=3.0 if mode == "silent" else 60.0)
    try:
        run_stack(plan, probes, Lines(), options)
    except UniaudioError as error:
        say(f"{type(error).__name__}: {error.message}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
