"""Holds a whole cluster up until it is interrupted: python -m tests.machine."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from rich.console import Console

from tests.machine.machine import machine
from tests.machine.programs import MachineError


def main() -> int:
    """Tells where the kubeconfig is, and removes everything at the end."""
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with machine(console.print) as made:
            Console(soft_wrap=True).print(f"export KUBECONFIG={made.kubeconfig}")
            console.print("Ctrl-C ends it")
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except MachineError as error:
        console.print(f"[red]{error}[/]")
        return 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
