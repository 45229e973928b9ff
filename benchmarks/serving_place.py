"""Where the services are: a stack started here, or addresses of one that runs; and what its processes use."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.stack import start_stack
from uniaudio.runtime.ports import free_port

START_SECONDS = 600.0
MEASURED = ("gateway", "orchestrator")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Addresses of running services; `processes` by service where they are on this machine."""

    orchestrator: str
    llm: str
    gateway: str
    processes: dict[str, psutil.Process] = field(default_factory=dict)

    def processor_seconds(self) -> dict[str, float]:
        """What each of the measured services has computed so far."""
        used = {name: process.cpu_times() for name, process in self.processes.items()}
        return {name: times.user + times.system for name, times in used.items()}


@contextmanager
def started(
    folder: Path, *, model: Path | None, num_streams: int, held_seconds: float, tokenizer_backend: str
) -> Iterator[Place]:
    """A stack of its own on free ports that takes so many streams at once; stopped at the end.

    `held_seconds` of a sentence are held back at most, until they are plausible.
    """
    environment = {
        "UNIAUDIO_ORCHESTRATOR_MAX_HELD_SECONDS": str(held_seconds),
        "UNIAUDIO_ORCHESTRATOR_MAX_RUNNING": str(num_streams),
        "UNIAUDIO_LLM_MAX_RUNNING": str(num_streams),
        "UNIAUDIO_ORCHESTRATOR_MAX_WAITING": "0",
    }
    arguments = ["--tokenizer-backend", tokenizer_backend, "--timeout", str(START_SECONDS)]
    if model is not None:
        arguments += ["--model", str(model.absolute())]
    stack = start_stack(folder, free_port, environment, arguments)
    try:
        stack.wait_until_serving(START_SECONDS)
        yield Place(
            orchestrator=stack.address,
            llm=f"127.0.0.1:{stack.ports['LLM_GRPC_PORT']}",
            gateway=stack.gateway,
            processes=_processes(stack.process.pid),
        )
    finally:
        stack.stop()


@contextmanager
def checkpoint(config: Path | None) -> Iterator[Path | None]:
    """A model of random weights of that size, in a folder that goes away; None where no size is given."""
    if config is None:
        yield None
        return
    from uniaudio.random_model import write_random_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        yield write_random_checkpoint(folder, 4242, config=json.loads(config.read_text()))


def _processes(pid: int) -> dict[str, psutil.Process]:
    found = {}
    for child in psutil.Process(pid).children(recursive=True):
        command = child.cmdline()
        for name in MEASURED:
            if f"services.{name}" in command:
                found[name] = child
    return found
