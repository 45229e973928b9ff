"""A real MinIO server on a free loopback port, built from its Go module by the Makefile."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from minio import Minio

from tests.built_tool import built_tool

ACCESS_KEY, SECRET_KEY = "tester", "a-secret-of-tests"


class MinioError(AssertionError):
    """The server did not start or stop as it should; carries what it printed."""


@cache
def minio_binary() -> str:
    """The server's path; the test is skipped where it was not built."""
    return built_tool("minio", "install Go 1.26 and run `make .tools/bin/minio`")


class MinioServer:
    """One server and its data; it can be killed and started again on the same port."""

    def __init__(self, data: Path, port: int) -> None:
        self._binary = minio_binary()
        self._data = data
        self._log = data.parent / f"minio-{port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"127.0.0.1:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes our stores reach it; they give up soon."""
        return {
            "UNIAUDIO_S3_ENDPOINT": self.endpoint,
            "UNIAUDIO_S3_ACCESS_KEY": ACCESS_KEY,
            "UNIAUDIO_S3_SECRET_KEY": SECRET_KEY,
            "UNIAUDIO_S3_TLS": "false",
            "UNIAUDIO_S3_RETRIES": "2",
        }

    def start(self, timeout_seconds: float = 60.0) -> None:
        """Returns once it answers."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._log.parent),
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "GOMAXPROCS": "2",
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "server", "--address", self.endpoint, "--anonymous", str(self._data)],
                env=environ,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + timeout_seconds
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise MinioError(f"MinIO did not start:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def make_bucket(self, name: str) -> None:
        """A new, empty bucket."""
        self.client().make_bucket(name)

    def client(self) -> Minio:
        """Reaches it past our own stores."""
        return Minio(self.endpoint, ACCESS_KEY, SECRET_KEY, secure=False, region="us-east-1")

    def kill(self) -> None:
        """As a power cut would: no time to finish anything."""
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Alive, and silent meanwhile."""
        assert self._process is not None, "it runs"
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """As an operator does."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)

    def _answers(self) -> bool:
        """Ready, not only alive: a call to a server that is alive but not ready hangs for a minute."""
        try:
            with urllib.request.urlopen(f"http://{self.endpoint}/minio/health/cluster", timeout=2) as reply:
                ready: bool = reply.status == 200
                return ready
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
