"""Starts the LLM service as a person does, `python -m services.llm`, on free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass
class LlmServer:
    """A running LLM service."""

    process: subprocess.Popen[bytes]
    grpc_port: int
    metrics_port: int
    log: Path

    @property
    def address(self) -> str:
        """Triton's gRPC address."""
        return f"127.0.0.1:{self.grpc_port}"

    def stub(self) -> psutil.Process:
        """The process that holds the model."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if child.name().startswith("triton_python_b"):
                return child
        raise AssertionError(f"no stub among the children:\n{self.tail()}")

    def num_ready(self) -> int:
        """How many times it became ready so far."""
        return self.log.read_text(errors="replace").count('"event": "ready"')

    def wait_until_ready(self, times: int = 1, seconds: float = 100) -> None:
        """Returns once it was ready that many times."""
        deadline = time.monotonic() + seconds
        while self.num_ready() < times:
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready after {seconds:g} s:\n{self.tail()}")
            time.sleep(0.1)

    def metrics(self) -> dict[str, float]:
        """The engine's metrics by name; a histogram's buckets are left out."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("uniaudio_")]
        return {name.split("{")[0]: float(value) for name, value in pairs if "_bucket{" not in name}

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 60) -> int:
        """The exit code, once it ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end within {seconds:g} s:\n{self.tail()}") from None

    def tail(self, num_lines: int = 40) -> str:
        """The last lines it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-num_lines:])


def start_llm_server(
    checkpoint: Path, folder: Path, find_port: Callable[[], int], environment: Mapping[str, str] | None = None
) -> LlmServer:
    """Starts it; call `wait_until_ready` next and `stop` at the end. `folder` takes temporary files and the log."""
    grpc_port, http_port, metrics_port = find_port(), find_port(), find_port()
    scratch = folder / "scratch"
    scratch.mkdir()
    environ = {
        **os.environ,
        "UNIAUDIO_MODEL_DIR": str(checkpoint),
        "UNIAUDIO_LLM_GRPC_PORT": str(grpc_port),
        "UNIAUDIO_LLM_HTTP_PORT": str(http_port),
        "UNIAUDIO_LLM_METRICS_PORT": str(metrics_port),
        "TMPDIR": str(scratch),
        "UNIAUDIO_LLM_NUM_THREADS": "1",  # the model is small and the machine shared
        **(environment or {}),
    }
    log = folder / "llm.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.llm"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
        )
    return LlmServer(process, grpc_port, metrics_port, log)
