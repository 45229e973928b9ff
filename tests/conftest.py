"""Fixtures that every kind of test may use; see README.md here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.otlp_receiver import OtlpReceiver
from tests.stack import Stack, start_stack
from uniaudio.stack.processes import descendants

ROOT = Path(__file__).resolve().parent.parent

# The suite shares a small machine with the servers it starts: idle threads must not spin.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder `shared` beside the clone: published goldens and recordings, not part of the project."""
    directory = ROOT.parent / "shared"
    if not (directory / "golden").is_dir():
        pytest.skip(
            f"no folder {directory.name}/golden beside the clone; what it holds is not part of the project"
        )
    return directory


@pytest.fixture(scope="session")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights, in the released layout."""
    from uniaudio.random_model import write_random_checkpoint

    return write_random_checkpoint(tmp_path_factory.mktemp("random") / "checkpoint")


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a loopback port that nobody listens on and that was not given before."""
    from uniaudio.runtime.ports import free_port as draw

    given: set[int] = set()

    def find() -> int:
        while (port := draw()) in given:
            pass
        given.add(port)
        return port

    return find


@pytest.fixture(scope="session")
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Takes the traces and metrics of the session's stack."""
    receiver = OtlpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int], otlp_receiver: OtlpReceiver
) -> Iterator[Stack]:
    """The whole local stack, started once for all tests by `uniaudio up`, its telemetry on."""
    started = start_stack(tmp_path_factory.mktemp("stack"), free_port, otlp_receiver.environment)
    try:
        started.wait_until_serving(seconds=300)
        yield started
    finally:
        pids = descendants(started.process.pid)
        assert started.stop() == 0, started.tail()
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "processes stayed behind"
        assert not started.leftovers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever is first to use the stack waits for its start, on a busy machine longer than a test may take."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(420))
