"""Whenever a save stops, readers see the checkpoint before it, whole, or the new one, whole."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.memory_store import HookedStore, MemoryStore, let_lease_run_out
from tests.unit.training.checkpoints.saving import content_of, write_folder
from training.checkpoints.store import CheckpointStore
from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.runtime.object_store import ObjectStore


class Crash(BaseException):
    """The process dies: nothing of it runs any more."""


def dying(inner: ObjectStore, num_operations: int, *, applied: bool) -> HookedStore:
    """Dies at the operation after `num_operations`, before it reaches the store or just after."""
    counted: list[str] = []

    def before(name: str, key: str) -> None:
        counted.append(name)
        if len(counted) > num_operations + applied:
            raise Crash

    def after(name: str, key: str) -> None:
        if len(counted) > num_operations:
            raise Crash

    return HookedStore(inner, before=before, after=after)


def save_and_die(inner: MemoryStore, step: int, folder: Path, num_operations: int, applied: bool) -> bool:
    """Whether the save and all after it ended before the process died."""
    store = CheckpointStore(dying(inner, num_operations, applied=applied), holder=f"step {step}")
    try:
        store.save(step, folder).wait(10)
        return True
    except Crash:
        return False
    finally:
        with suppress(Crash):
            store.close()
        let_lease_run_out(inner)


@given(deaths=st.lists(st.tuples(st.integers(0, 14), st.booleans()), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_row_of_crashes_leaves_a_whole_checkpoint(deaths: list[tuple[int, bool]]) -> None:
    inner = MemoryStore()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folders = [write_folder(root / f"step {step}", step) for step in range(len(deaths) + 2)]
        assert save_and_die(inner, 0, folders[0], 1000, False)
        safe = 0
        for step, (num_operations, applied) in enumerate(deaths, start=1):
            if save_and_die(inner, step, folders[step], num_operations, applied):
                safe = step
            with CheckpointStore(inner, holder="reader") as reader:
                latest = reader.restore(root / f"seen after {step}")
            assert latest is not None
            assert latest.step in (safe, step), "acknowledged checkpoints stay the latest until a newer one"
            assert content_of(root / f"seen after {step}") == content_of(folders[latest.step])
            safe = latest.step
        last = len(deaths) + 1
        with CheckpointStore(inner, holder="survivor") as survivor:
            survivor.save(last, folders[last]).wait(10)
            survivor.prune(keep_last=1, grace_seconds=-1)
            assert [info.step for info in survivor.list()] == [last]
        attempts = {key.split("/")[1] for key in inner.objects if key.startswith("attempts/")}
        assert len(attempts) == 1, "what the dead left is collected"


def flaky(inner: ObjectStore, operation: int, *, applied: bool) -> HookedStore:
    """Loses one operation: on its way, or its reply."""
    counted: list[str] = []

    def lose(due: int) -> Callable[[str, str], None]:
        def hook(name: str, key: str) -> None:
            if due == 0:
                counted.append(name)
            if len(counted) == operation and due == applied:
                counted.append("lost")
                raise UnavailableError("the store is away")

        return hook

    return HookedStore(inner, before=lose(0), after=lose(1))


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("operation", range(1, 16))
def test_a_writer_goes_on_after_a_lost_operation(tmp_path: Path, operation: int, applied: bool) -> None:
    """Also where it was written though its reply never came: its own write is never taken for another's."""
    inner = MemoryStore()
    folders = [write_folder(tmp_path / f"step {step}", step) for step in range(3)]
    with CheckpointStore(flaky(inner, operation, applied=applied), holder="writer") as store:
        for step in range(3):
            with suppress(UnavailableError):
                store.save(step, folders[step]).wait(10)
        handle = store.save(3, folders[0])
        assert handle.wait(10) is not None
        latest = store.latest()
        assert latest is not None
        assert latest.step == 3


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("num_operations", range(14))
def test_a_crash_while_pruning_leaves_what_is_kept(
    tmp_path: Path, num_operations: int, applied: bool
) -> None:
    inner = MemoryStore()
    folders = [write_folder(tmp_path / f"step {step}", step) for step in range(4)]
    with CheckpointStore(inner, holder="writer") as store:
        for step, folder in enumerate(folders):
            store.save(step, folder).wait(10)
    dead = CheckpointStore(dying(inner, num_operations, applied=applied), holder="pruner")
    with suppress(Crash):
        dead.prune(keep_last=2)
    with suppress(Crash, UniaudioError):
        dead.close()
    let_lease_run_out(inner)
    with CheckpointStore(inner, holder="reader") as reader:
        found = reader.list()
        assert [info.step for info in found][:2] == [3, 2]
        for info in found:
            if info.step >= 2:
                reader.fetch(info, tmp_path / f"seen {info.step}")
                assert content_of(tmp_path / f"seen {info.step}") == content_of(folders[info.step])
