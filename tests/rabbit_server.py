"""A real RabbitMQ on free loopback ports, for as long as a test needs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from uniaudio.runtime.ports import free_port

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on PATH changes its user first
_SECONDS = 150.0


@contextmanager
def rabbit_server(port: int) -> Iterator[str]:
    """Its address, `amqp://guest:guest@127.0.0.1:PORT//`; skips the test where no RabbitMQ is installed."""
    epmd = shutil.which("epmd")
    if not _PROGRAM.exists() or epmd is None:
        pytest.skip("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    names_port = free_port()
    with tempfile.TemporaryDirectory(prefix="uniaudio-rabbit-") as folder:
        names = subprocess.Popen([epmd, "-address", "127.0.0.1", "-port", str(names_port)])
        log = (Path(folder) / "log").open("wb")
        server = subprocess.Popen(
            [str(_PROGRAM)],
            env=_environment(Path(folder), port, names_port),
            stdout=log,
            stderr=log,
            start_new_session=True,  # the program is a child of its script
        )
        try:
            url = f"amqp://guest:guest@127.0.0.1:{port}//"
            _wait(url, server, Path(folder) / "log")
            yield url
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(10)
            names.kill()
            names.wait(10)
            log.close()


def _environment(folder: Path, port: int, names_port: int) -> dict[str, str]:
    (folder / "plugins").write_text("[].")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"uniaudio{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2",
    }


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + _SECONDS
    while True:
        assert server.poll() is None, f"rabbitmq-server ended at once:\n{log.read_text()}"
        try:
            with Connection(url, connect_timeout=2) as connection:
                connection.connect()
                return
        except (OperationalError, OSError):
            assert time.monotonic() < ends_at, f"rabbitmq-server did not answer:\n{log.read_text()}"
            time.sleep(0.1)
