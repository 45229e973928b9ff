"""Starts the whole stack as a person does, `uniaudio up`, on free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_PORTS = (
    "TOKENIZER_PORT",
    "LLM_GRPC_PORT",
    "LLM_HTTP_PORT",
    "LLM_METRICS_PORT",
    "ORCHESTRATOR_PORT",
    "GATEWAY_PORT",
)


class StackError(AssertionError):
    """The stack did not start or stop as it should; carries what it printed."""


@dataclass
class Stack:
    """A running stack: where it listens and what it prints."""

    process: subprocess.Popen[bytes]
    ports: dict[str, int]
    log: Path

    @property
    def address(self) -> str:
        """The orchestrator's host:port."""
        return f"127.0.0.1:{self.ports['ORCHESTRATOR_PORT']}"

    @property
    def tokenizer_address(self) -> str:
        """The tokenizer service's host:port."""
        return f"127.0.0.1:{self.ports['TOKENIZER_PORT']}"

    @property
    def gateway(self) -> str:
        """The gateway's base address."""
        return f"http://127.0.0.1:{self.ports['GATEWAY_PORT']}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes `uniaudio` commands talk to this stack."""
        return {"UNIAUDIO_SERVER": self.address}

    def wait_until_serving(self, seconds: float) -> None:
        """Returns once the orchestrator says that it serves; raises StackError with the log otherwise."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StackError(f"`uniaudio up` ended with {self.process.returncode}:\n{self.tail()}")
            if is_serving(self.address):
                return
            time.sleep(0.3)
        raise StackError(f"`uniaudio up` was not ready after {seconds:g} s:\n{self.tail()}")

    def stop(self, seconds: float = 60) -> int:
        """Ctrl-C; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            raise StackError(f"`uniaudio up` did not stop within {seconds:g} s:\n{self.tail()}") from None

    def leftovers(self) -> list[str]:
        """Files that a stack on these ports would leave behind: its run folder, and Triton's shared memory."""
        run_folder = Path(tempfile.gettempdir()) / f"uniaudio-{self.ports['ORCHESTRATOR_PORT']}"
        shared = Path("/dev/shm").glob(f"uniaudio_llm_{self.ports['LLM_GRPC_PORT']}_*")
        return [str(path) for path in (run_folder, *shared) if path.exists()]

    def tail(self, num_lines: int = 60) -> str:
        """The last lines it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-num_lines:])


def start_stack(
    directory: Path,
    find_port: Callable[[], int],
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> Stack:
    """Starts `uniaudio up` with its home in `directory`; call `wait_until_serving` next, `stop` at the end."""
    ports = {name: find_port() for name in _PORTS}
    environ = {
        **os.environ,
        **{f"UNIAUDIO_{name}": str(port) for name, port in ports.items()},
        "UNIAUDIO_CACHE_DIR": str(directory / "cache"),
        "UNIAUDIO_STATE_DIR": str(directory / "state"),
        "UNIAUDIO_TOKENIZER_ADDRESS": f"127.0.0.1:{ports['TOKENIZER_PORT']}",
        "UNIAUDIO_LLM_ADDRESS": f"127.0.0.1:{ports['LLM_GRPC_PORT']}",
        **(environment or {}),
    }
    log = directory / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uniaudio.cli",
                "up",
                "--base-port",
                str(ports["ORCHESTRATOR_PORT"]),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
            cwd=directory,
            start_new_session=True,
        )
    return Stack(process, ports, log)


def is_serving(address: str) -> bool:
    """Whether every service at an address says that it serves."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
