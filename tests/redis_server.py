"""A real Redis on a free loopback port, for as long as a test needs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from uniaudio.runtime.ports import free_port


@contextmanager
def redis_server(port: int | None = None) -> Iterator[str]:
    """Its address, `redis://127.0.0.1:PORT/0`; skips the test where no Redis is installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
        try:
            _wait(port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait(timeout=10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        assert process.poll() is None, "redis-server ended at once"
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                probe.sendall(b"PING\r\n")
                if probe.recv(5) == b"+PONG":
                    return
        time.sleep(0.02)
    raise AssertionError("redis-server did not answer within 20 s")
