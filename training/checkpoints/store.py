"""Where a run's checkpoints are: a local folder or an S3 prefix, with the same meaning.

A checkpoint is saved from a local folder in the background, and is seen by readers only once all of it is
there. One writer at a time: rank 0 of the run that holds the lease.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from types import TracebackType

from training.checkpoints.fetch import fetch_checkpoint
from training.checkpoints.files import ATTEMPTS, gather_parts, list_files, upload_part
from training.checkpoints.journal import CheckpointInfo, Journal
from training.checkpoints.retention import remove_old, remove_orphans
from training.checkpoints.writer import LEASE_SECONDS, Writer, open_writer
from uniaudio.errors import (
    CheckpointError,
    DeadlineError,
    InvalidInputError,
    QueueFullError,
    StoreError,
    UniaudioError,
)
from uniaudio.runtime.leases import SKEW_SECONDS, new_acquisition
from uniaudio.runtime.object_store import ObjectStore, check_key, open_object_store

PARTS_SECONDS = 600.0  # how long rank 0 waits for the others' parts
GRACE_SECONDS = 3600.0  # how long an attempt that nobody finished stays
CLAIM_SECONDS = LEASE_SECONDS + 2 * SKEW_SECONDS  # outlasts the lease of a writer that died elsewhere

_log = logging.getLogger(__name__)


class SaveHandle:
    """A save that is under way."""

    def __init__(self, step: int, future: Future[CheckpointInfo | None]) -> None:
        self.step = step
        self._future = future

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._future.done()

    def wait(self, timeout_seconds: float) -> CheckpointInfo | None:
        """What was published (None on ranks above 0); raises what went wrong, DeadlineError when not done."""
        try:
            return self._future.result(timeout_seconds)
        except FutureTimeoutError:
            raise DeadlineError(
                f"the checkpoint of step {self.step} is not saved after {timeout_seconds:g} s; wait longer, or "
                "see whether the store is slow"
            ) from None


class CheckpointStore:
    """Lists, fetches, saves and prunes the checkpoints of one run. Close it, or use it in a `with` block."""

    def __init__(self, store: ObjectStore, *, holder: str) -> None:
        self._store = store
        self._journal = Journal(store)
        self._holder = holder
        self._acquisition = new_acquisition()
        self._writer: Writer | None = None
        self._writer_lock = threading.Lock()
        self._slot = threading.Semaphore(1)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._closing = threading.Event()
        self._attempt: str | None = None

    def __enter__(self) -> CheckpointStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._store.url

    def list(self) -> list[CheckpointInfo]:
        """Every checkpoint, newest first; a damaged manifest is reported in the log and left out."""
        found = []
        for number in self._journal.numbers():
            try:
                entry = self._journal.read(number)
            except CheckpointError as error:
                _log.error("a checkpoint is left out: %s", error)
                continue
            if isinstance(entry, CheckpointInfo):
                found.append(entry)
        return found

    def latest(self) -> CheckpointInfo | None:
        """The newest checkpoint, or None where there is none yet."""
        return next(iter(self.list()), None)

    def fetch(self, info: CheckpointInfo, folder: Path) -> None:
        """The checkpoint's files in a new folder, verified; see `fetch_checkpoint`."""
        fetch_checkpoint(self._store, info, folder)

    def restore(self, folder: Path) -> CheckpointInfo | None:
        """Fetches the newest checkpoint that is whole, or None where there is none yet.

        A damaged one is reported in the log and the one before is taken; raises CheckpointError where all are.
        """
        damage: CheckpointError | None = None
        for info in self.list():
            try:
                self.fetch(info, folder)
            except CheckpointError as error:
                _log.error("%s", error)
                damage = error
            else:
                return info
        if damage is not None:
            raise damage
        return None

    def claim(self, *, wait_seconds: float = CLAIM_SECONDS) -> None:
        """Takes the right to save here; only rank 0 needs it, and its first save takes it otherwise.

        Waits for a writer that may be dead; raises LeaseError naming a writer that lives.
        """
        self._claimed(wait_seconds)

    def save(
        self,
        step: int,
        folder: Path,
        *,
        rank: int = 0,
        num_ranks: int = 1,
        attempt: str | None = None,
        wait_seconds: float = 0.0,
    ) -> SaveHandle:
        """Starts to save everything in `folder`, which must not change until the handle is done.

        With several ranks, each saves its own files with the same `attempt`, which rank 0 gets from
        `new_attempt` and sends to the others. One save at a time: the next waits `wait_seconds` for the one
        before, then raises QueueFullError.
        """
        if attempt is None:
            if num_ranks > 1:
                raise InvalidInputError(
                    f"{num_ranks} ranks save together but no attempt is given; broadcast rank 0's new_attempt()"
                )
            attempt = new_attempt(step)
        if "/" in check_key(attempt):
            raise InvalidInputError(f"attempt {attempt!r} has a slash; use what new_attempt gives")
        paths = list_files(folder)
        if not self._slot.acquire(timeout=wait_seconds):
            raise QueueFullError(
                f"step {step} cannot be saved while the save before it is under way (waited {wait_seconds:g} s); "
                "save less often, or wait longer"
            )
        self._attempt = attempt
        future = self._pool.submit(self._run, step, folder, paths, rank, num_ranks, attempt)
        future.add_done_callback(_log_failure)
        return SaveHandle(step, future)

    def prune(self, keep_last: int, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """Removes all but the newest `keep_last` checkpoints, and attempts that died over `grace_seconds` ago."""
        if keep_last < 1:
            raise InvalidInputError(f"keep_last is {keep_last}; keep at least 1 checkpoint")
        self._claimed(CLAIM_SECONDS).confirm()
        remove_old(self._store, self._journal, keep_last)
        spare = [self._attempt] if self._attempt else []
        remove_orphans(self._store, self._journal, older_than_seconds=grace_seconds, spare=spare)

    def close(self, timeout_seconds: float = 60.0) -> None:
        """Waits for the save under way, then gives the lease back; raises DeadlineError when it takes longer."""
        saved = self._slot.acquire(timeout=timeout_seconds)
        self._closing.set()
        self._pool.shutdown(wait=saved)
        with self._writer_lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except UniaudioError as error:
                _log.warning("the lease was not given back, it runs out by itself: %s", error)
        if not saved:
            raise DeadlineError(
                f"{self.url}: the last save did not end within {timeout_seconds:g} s; the checkpoint before "
                "stays the latest unless it still ends"
            )

    def _run(
        self, step: int, folder: Path, paths: Sequence[Path], rank: int, num_ranks: int, attempt: str
    ) -> CheckpointInfo | None:
        try:
            return self._save(step, folder, paths, rank, num_ranks, attempt)
        finally:  # before the handle is done, so that whoever waited for it can save again
            self._attempt = None
            self._slot.release()

    def _save(
        self, step: int, folder: Path, paths: Sequence[Path], rank: int, num_ranks: int, attempt: str
    ) -> CheckpointInfo | None:
        if rank > 0:
            upload_part(self._store, attempt, rank, folder, paths)
            return None
        writer = self._claimed(CLAIM_SECONDS)
        try:
            upload_part(self._store, attempt, rank, folder, paths)
            files = gather_parts(self._store, attempt, num_ranks, PARTS_SECONDS, self._closing)
            return writer.publish(step, attempt, num_ranks, files)
        except StoreError:
            self._discard(attempt)  # a full store needs the room for the next attempt
            raise

    def _discard(self, attempt: str) -> None:
        try:
            self._store.delete_folder(f"{ATTEMPTS}/{attempt}")
        except UniaudioError as error:
            _log.warning("attempt %s stays until it is pruned: %s", attempt, error)

    def _claimed(self, wait_seconds: float) -> Writer:
        with self._writer_lock:
            if self._writer is None:
                self._writer = open_writer(self._store, self._holder, self._acquisition, wait_seconds)
            return self._writer


def _log_failure(future: Future[CheckpointInfo | None]) -> None:
    """Told even where nobody waits for the handle."""
    error = future.exception()
    if error is not None:
        _log.error("a checkpoint was not saved: %s", error)


def new_attempt(step: int) -> str:
    """A fresh name for an attempt to save `step`; no attempt before had it."""
    return f"{step:012d}-{secrets.token_hex(8)}"


def open_store(url: str, *, holder: str) -> CheckpointStore:
    """The checkpoints at `url`, a folder or s3://bucket/prefix, for a run that calls itself `holder`.

    S3 is reached as `uniaudio.runtime.s3_store.S3Settings` says. The store is asked at once what it has, so
    wrong credentials, a missing bucket or a store that is away are named here.
    """
    store = CheckpointStore(open_object_store(url), holder=holder)
    store.latest()
    return store
