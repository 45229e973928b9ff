"""A service for tests of the supervisor: listens, leaves a temporary file, starts a daemon that leaves its group.

usage: python tests/tiny_service.py PORT [stubborn | dies | silent]
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path


def main(port: int, mode: str) -> None:
    """Serves until it is told to stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else lambda *_: sys.exit(0))
    handle, _ = tempfile.mkstemp()
    os.close(handle)
    start_daemon(signal.SIG_IGN if mode == "stubborn" else signal.SIG_DFL)
    if mode == "dies":
        sys.exit("the disk caught fire")
    if mode == "silent":
        time.sleep(600)
    with socket.create_server(("127.0.0.1", port)) as server:
        sys.stderr.write("listening\n")
        while True:
            server.accept()[0].close()


def start_daemon(on_sigterm: signal.Handlers) -> None:
    """The classical way out: fork, new session, fork again. Nothing but its parentage ties it to us."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, on_sigterm)
            Path(os.environ["TMPDIR"], "daemon").write_text(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
