"""A real PostgreSQL server on a free loopback port; it can be killed and started again on the same port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

_SECONDS = 60.0
_SYSTEM_USER = "postgres"


def postgres_programs() -> Path:
    """The folder of its programs; the test is skipped where it is not installed."""
    versions = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    found = shutil.which("postgres", path=os.pathsep.join([*versions, os.environ["PATH"]]))
    if found is None:
        pytest.skip("postgres is not installed: apt-get install postgresql")
    return Path(found).resolve().parent


class PostgresServer:
    """One PostgreSQL in a folder of its own; it survives being killed, as its disk does."""

    def __init__(self, port: int) -> None:
        self._programs = postgres_programs()
        # Not among pytest's own folders, which are closed to the user that the server runs as.
        self._home = Path(tempfile.mkdtemp(prefix="uniaudio-postgres-"))
        self._folder = self._home / "data"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root.
        self._user = pwd.getpwnam(_SYSTEM_USER) if os.getuid() == 0 else None
        self.url = f"postgresql://uniaudio@127.0.0.1:{port}/postgres"

    def start(self) -> None:
        """Makes the database where there is none; returns once it answers."""
        if not self._folder.exists():
            self._initialise()
        options = {"port": self._port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        settings = [f"--{name}={value}" for name, value in options.items()]
        self._process = self._run("postgres", "-D", str(self._folder), *settings)

        def answers() -> bool:
            psycopg.connect(self.url, connect_timeout=2).close()
            return True

        _until(answers, psycopg.Error, self._process)

    def kill(self) -> None:
        """Ends it as a crash does, its children with it."""
        _kill(self._process)
        self._process = None
        # Its children notice that it is gone, and let go of the port and of shared memory.
        deadline = time.monotonic() + _SECONDS
        while (self._folder / "postmaster.pid").exists() and time.monotonic() < deadline:
            pid = int((self._folder / "postmaster.pid").read_text().split()[0])
            if not Path(f"/proc/{pid}").exists():
                break
            time.sleep(0.05)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Takes connections, as the kernel does, and answers nothing meanwhile."""
        assert self._process is not None, "it runs"
        server = psutil.Process(self._process.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def stop(self) -> None:
        """Ends it in order, and removes its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        shutil.rmtree(self._home)

    def _initialise(self) -> None:
        self._folder.mkdir(mode=0o700)
        self._home.chmod(0o755)
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        command = (
            "initdb",
            "-D",
            str(self._folder),
            "-U",
            "uniaudio",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
        )
        process = self._run(*command, "--locale=C")
        if process.wait(timeout=_SECONDS) != 0:
            raise AssertionError((self._home / "postgres.log").read_text())

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        # setpriv, not Popen's own user=: that one forks, and gRPC's threads do not outlive a fork unharmed.
        user = self._user
        lesser = (
            ()
            if user is None
            else ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        )
        with (self._home / "postgres.log").open("ab") as log:
            return subprocess.Popen(
                [*lesser, str(self._programs / program), *arguments], stdout=log, stderr=log, cwd="/"
            )


def _until(answers: Callable[[], bool], refusal: type[Exception], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}")
        try:
            if answers():
                return
        except refusal:
            if time.monotonic() > deadline:
                process.kill()
                raise
        time.sleep(0.05)


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.kill()
        process.wait(timeout=_SECONDS)
