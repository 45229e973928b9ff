"""Checkpoints of a run on their way to the store and back; at most one is under way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from training.checkpoints.journal import CheckpointInfo
from training.checkpoints.store import CheckpointStore, SaveHandle, new_attempt
from training.loop.snapshot import write_snapshot
from training.ranks.ranks import Ranks
from training.run_folder import RunFolder
from uniaudio.errors import UnavailableError, UniaudioError

UPLOAD_SECONDS = 1800.0


class Checkpoints:
    """The checkpoints of one run; every rank calls every method, together with the others."""

    def __init__(self, store: CheckpointStore, folder: RunFolder, ranks: Ranks, keep_last: int) -> None:
        self._store, self._folder, self._ranks, self._keep_last = store, folder, ranks, keep_last
        self._fetched = folder.resume(ranks.machine)
        self._upload: SaveHandle | None = None
        self._staging: Path | None = None
        self.saved_step = 0

    def fetch_latest(self) -> Path | None:
        """A folder with the newest checkpoint that is whole, once a machine; None for a run without any."""
        info: CheckpointInfo | None = None
        if self._ranks.is_first:
            self._store.claim()  # before anything is read, so that no older writer can publish behind our back
            self._folder.clear(self._folder.staging)  # what a killed run left
            info = self._store.restore(self._folder.clear(self._fetched))
        info = self._ranks.first(info)
        if info is None:
            self.forget_fetched()
            return None
        if self._ranks.local_rank == 0 and not self._ranks.is_first:
            self._store.fetch(info, self._folder.clear(self._fetched))
        self._ranks.wait()
        self.saved_step = info.step
        return self._fetched

    def forget_fetched(self) -> None:
        """The fetched folder is not needed any more."""
        self._ranks.wait()
        if self._ranks.local_rank == 0:
            shutil.rmtree(self._fetched, ignore_errors=True)

    def save(self, step: int, tensors: Mapping[str, Tensor], loop: Mapping[str, Any]) -> None:
        """Writes the state aside and starts its upload, after the one before has arrived."""
        self.settle()
        rank, count = self._ranks.rank, self._ranks.count
        self._staging = self._folder.clear(self._folder.staging / f"step-{step}-rank-{rank}")
        write_snapshot(self._staging, tensors, loop, self._ranks)
        attempt = self._ranks.first(new_attempt(step))
        self._upload = self._store.save(step, self._staging, rank=rank, num_ranks=count, attempt=attempt)
        self.saved_step = step

    def settle(self) -> None:
        """Returns when nothing is under way; raises on every rank what went wrong on any."""
        error: UniaudioError | None = None
        if self._upload is not None:
            try:
                self._upload.wait(UPLOAD_SECONDS)
            except UniaudioError as failure:
                error = failure
        if self._ranks.any_of(error is not None)[0]:
            raise error or UnavailableError(
                "another rank could not store its part of a checkpoint; see its log"
            )
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)
            if self._ranks.is_first:
                self._store.prune(self._keep_last)
        self._upload = self._staging = None
