"""Runs one service and lets nothing of it stay behind: `python guard.py PARENT_PID GRACE_SECONDS COMMAND ...`.

Whatever the service starts, daemons that left its process group included, comes back to this process when its
own parent ends, and is ended with the service. SIGTERM, or the end of the process that started this one, stops
the service; a second SIGTERM kills it at once. The exit code is the service's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from uniaudio.stack.processes import adopt_orphans, descendants, die_with_parent, end_descendants, reap, send

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_LEFTOVERS_SECONDS = 3.0


def main(arguments: list[str]) -> int:
    """The service's exit code; 137 where it had to be killed."""
    parent, grace_seconds, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    die_with_parent(parent)
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    guard = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        die_with_parent(guard)

    # Safe here: this process has one thread.
    service = subprocess.Popen(command, start_new_session=True, preexec_fn=prepare)
    code = _watch(service.pid, grace_seconds)
    end_descendants(patience_seconds=_LEFTOVERS_SECONDS)
    return code


def _watch(service: int, grace_seconds: float) -> int:
    """Waits for the service's end; passes a stop on, and kills when its grace is over."""
    kill_at: float | None = None
    while True:
        received = signal.sigtimedwait(_SIGNALS, 0.2)
        ended = reap()
        if service in ended:
            return ended[service]
        if received is not None and received.si_signo != signal.SIGCHLD:
            if kill_at is None:
                send([service], signal.SIGTERM)
                kill_at = time.monotonic() + grace_seconds
            else:
                kill_at = 0.0
        if kill_at is not None and time.monotonic() >= kill_at:
            send([service, *descendants(os.getpid())], signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
