"""The whole local stack as `uniaudio up --ranks 2` starts it, its model small and random; its processes are killed.

Jobs are done by the orchestrator itself, on SQLite and a folder. What they should give is told by the same order,
made again when nothing fails.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil

from tests.faults.again import Again
from tests.faults.fault import Fault, away, down, times
from tests.faults.pace import Pace
from tests.stack import start_stack
from uniaudio.runtime.ports import free_port
from uniaudio.stack.processes import descendants

_START_SECONDS = 600.0
_WITNESS = """
CREATE TABLE witness (job_id text, item_index int, before text, after text, token bigint);
CREATE TRIGGER witness AFTER UPDATE ON items FOR EACH ROW
  WHEN OLD.state IS NOT NEW.state
       AND (OLD.state NOT IN ('queued', 'running') OR NEW.state NOT IN ('queued', 'running'))
BEGIN
  INSERT INTO witness VALUES (NEW.job_id, NEW.item_index, OLD.state, NEW.state, NEW.token);
END;
"""


class RealStack(Again):
    """A `Place` with every service real."""

    def __init__(self, folder: Path, pace: Pace, *arguments: str) -> None:
        super().__init__()
        self.pace = pace
        self._arguments = ("--ranks", "2", *arguments)  # of `uniaudio up`
        self._folder = folder
        self._environment = {
            "UNIAUDIO_REPRODUCIBLE": "true",
            "UNIAUDIO_JOBS_DIR": str(folder / "jobs"),
            "UNIAUDIO_JOBS_LEASE_SECONDS": str(pace.lease_seconds),
        }
        self._stack = start_stack(folder, free_port, self._environment, self._arguments)
        self.address = self._stack.address

    @contextmanager
    def running(self) -> Iterator[RealStack]:
        """Waits until it serves; stops it in the end."""
        try:
            self._stack.wait_until_serving(_START_SECONDS)
            with self._database() as connection:
                connection.executescript(_WITNESS)
            yield self
        finally:
            self._stack.stop()

    def find(self, name: str) -> psutil.Process:
        """The process of the stack whose command holds this name, the newest of them; waits for one that is away."""
        deadline = time.monotonic() + self.pace.patience_seconds
        while not (found := [pid for pid in descendants(self._stack.process.pid) if name in _command(pid)]):
            assert time.monotonic() < deadline, (
                f"no process of the stack is called {name}:\n{self._stack.tail()}"
            )
            time.sleep(0.1)
        return psutil.Process(found[-1])

    def wait_for_end(self) -> None:
        """Until `uniaudio up` has ended by itself."""
        self._stack.process.wait(120)

    def start_again(self) -> None:
        """The same stack on the same ports and folders; returns at once."""
        ports = iter(list(self._stack.ports.values()))
        self._stack = start_stack(self._folder, lambda: next(ports), self._environment, self._arguments)

    def endings(self) -> list[tuple[str, int, str]]:
        """See Place."""
        with self._database() as connection:
            return connection.execute("SELECT job_id, item_index, before FROM witness").fetchall()

    def check_accounts(self) -> list[str]:
        """See Place."""
        with self._database() as connection:
            rows = connection.execute("SELECT num_jobs, num_items FROM usage").fetchall()
        return [
            f"{jobs} jobs and {items} items still count" for jobs, items in rows if (jobs, items) != (0, 0)
        ]

    def check_artifacts(self) -> list[str]:
        """See Place."""
        results = (self._folder / "jobs").glob("objects/jobs/*/*/results/*")
        return [
            f"{path.name} has another hash"
            for path in results
            if not path.name.endswith(f"-{hashlib.sha256(path.read_bytes()).hexdigest()}")
        ]

    def _database(self) -> AbstractContextManager[sqlite3.Connection]:
        return _closed(sqlite3.connect(self._folder / "jobs" / "jobs.sqlite3", timeout=30))


@contextmanager
def _closed(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except FileNotFoundError:  # it ended just now
        return ""


def _killed(name: str) -> Callable[[RealStack, random.Random], AbstractContextManager[None]]:
    @contextmanager
    def strike(stack: RealStack, rng: random.Random) -> Iterator[None]:
        stack.find(name).kill()
        yield

    return strike


def _frozen(name: str) -> Callable[[RealStack, random.Random], AbstractContextManager[None]]:
    @contextmanager
    def strike(stack: RealStack, rng: random.Random) -> Iterator[None]:
        process = stack.find(name)
        process.suspend()
        yield
        with suppress(psutil.NoSuchProcess):  # who watches it may have replaced it
            process.resume()

    return strike


@contextmanager
def _orchestrator_killed(stack: RealStack, rng: random.Random) -> Iterator[None]:
    stack.find("services.orchestrator").kill()
    stack.wait_for_end()
    yield
    stack.start_again()


_STUB, _RANK = "triton_python_backend_stub", "services.llm.rank"

STACK_FAULTS: tuple[Fault[RealStack], ...] = (
    Fault(
        name="Triton killed",
        how="kill -9 of tritonserver; the LLM service starts it again",
        strike=_killed("tritonserver"),
        seconds=down,
        times=times,
    ),
    Fault(
        name="Triton's stub killed",
        how="kill -9 of the Python process in which the engine runs",
        strike=_killed(_STUB),
        seconds=down,
        times=times,
    ),
    Fault(
        name="Triton's stub frozen",
        how="the engine's process stopped; the LLM service finds that it hangs, and replaces it",
        strike=_frozen(_STUB),
        seconds=away,
    ),
    Fault(
        name="rank killed",
        how="kill -9 of the second of two ranks; the LLM service starts it again",
        strike=_killed(_RANK),
        seconds=down,
        times=times,
    ),
    Fault(
        name="rank frozen",
        how="the second of two ranks stopped; the LLM service replaces it when it does not answer in time",
        strike=_frozen(_RANK),
        seconds=away,
    ),
    Fault(
        name="tokenizer replica killed",
        how="kill -9 of a replica of Ray Serve, which starts another",
        strike=_killed("ray::ServeReplica"),
        seconds=down,
        times=times,
    ),
    Fault(
        name="stack's orchestrator killed",
        how="kill -9; `uniaudio up` ends, and is started again",
        strike=_orchestrator_killed,
        seconds=down,
        times=times,
    ),
)
