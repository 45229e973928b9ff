"""Two machines as the pods of a Job start them: one is killed, and the weights are those of a quiet run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.checkpoints.store import CheckpointStore
from uniaudio.runtime.object_store import open_object_store
from uniaudio.runtime.ports import free_port
from uniaudio.stack.processes import descendants

SECONDS = 240.0
NUM_STEPS = 80  # of the short recipe, which is saved at every tenth
pytestmark = pytest.mark.timeout(600)


class Machines:
    """Two launchers with a disk each and one store; what is killed starts again as its Job would start it."""

    def __init__(self, root: Path, place: Path) -> None:
        self._root, self.place = root, place
        self._port = free_port()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._num_lives = {0: 0, 1: 0}

    def start(self, machine: int) -> None:
        """A new pod: an empty disk."""
        self._num_lives[machine] += 1
        work = self.work(machine)
        options = ["--nnodes", "2", "--node-rank", str(machine), "--master-port", str(self._port)]
        training = ["debug", "--short", "--only", "toy", "--steps", str(NUM_STEPS), "--work", str(work)]
        work.mkdir(parents=True)
        with (work / "log").open("wb") as log:
            self._processes[machine] = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "training.launch",
                    *options,
                    "--",
                    *training,
                    "--store",
                    str(self.store),
                ],
                cwd=self._root,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
            )

    @property
    def store(self) -> Path:
        return self.place / "store"

    def work(self, machine: int) -> Path:
        """The disk of the machine's present life."""
        return self.place / f"machine-{machine}-{self._num_lives[machine]}"

    def log(self, machine: int) -> str:
        return (self.work(machine) / "log").read_text(errors="replace")

    def kill(self, machine: int) -> None:
        """All of it, as when power is cut."""
        process = self._processes.pop(machine)
        assert process.poll() is None, f"it ended before it was killed:\n{self.log(machine)}"
        _kill(process)

    def finish(self) -> dict[str, torch.Tensor]:
        """The weights, once both have ended well."""
        for machine, process in self._processes.items():
            assert process.wait(timeout=SECONDS) == 0, self.log(machine)
        return load_file(self.work(0) / "runs/toy/weights.safetensors")

    def wait_for_checkpoint(self, step: int) -> None:
        """Returns once a checkpoint of that step, or a later one, is published."""
        ends_at = time.monotonic() + SECONDS
        with CheckpointStore(open_object_store(str(self.store / "toy")), holder="test") as store:
            while (newest := store.latest()) is None or newest.step < step:
                assert time.monotonic() < ends_at, self.log(0)
                time.sleep(0.01)

    def end(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With its ranks, and before any of them can tell another."""
    for pid in [process.pid, *descendants(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.wait(timeout=30)


@contextmanager
def two_machines(root: Path, place: Path) -> Iterator[Machines]:
    machines = Machines(root, place)
    try:
        for machine in (0, 1):
            machines.start(machine)
        yield machines
    finally:
        machines.end()


def test_a_killed_machine_changes_nothing(root: Path, tmp_path: Path) -> None:
    with two_machines(root, tmp_path / "quiet") as machines:
        wanted = machines.finish()
    with two_machines(root, tmp_path / "killed") as machines:
        machines.wait_for_checkpoint(20)
        machines.kill(0)  # which holds the store's lease, and where the ranks meet
        machines.start(0)
        found = machines.finish()
        assert '"resumed"' in machines.log(0)
        assert "ranks were lost" in machines.log(1)  # it went on in place
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
