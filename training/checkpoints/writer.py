"""The one writer of a run: holds the lease, and publishes in its name."""

from __future__ import annotations

import time

from training.checkpoints.files import FileInfo
from training.checkpoints.journal import LEASE_KEY, CheckpointInfo, Claim, Journal
from uniaudio.errors import LeaseError, UniaudioError
from uniaudio.runtime.heartbeat import Heartbeat
from uniaudio.runtime.leases import Lease, acquire_lease
from uniaudio.runtime.object_store import ObjectStore

LEASE_SECONDS = 60.0
_HEARTBEAT_SECONDS = 15.0


class Writer:
    """A held lease and the next number in the journal. Used by one thread at a time."""

    def __init__(self, journal: Journal, lease: Lease) -> None:
        self._journal = journal
        self._lease = lease
        self._next_number = 1
        self._heartbeat = Heartbeat(lease, _HEARTBEAT_SECONDS)

    def open_journal(self) -> None:
        """Takes the number that the writer before would use next, so that it can publish no more."""
        while True:
            self._next_number = max(self._journal.numbers(), default=0) + 1
            claim = Claim(number=self._next_number, token=self._lease.token, holder=self._lease.holder)
            added = self._journal.add(claim)
            self._next_number += 1
            if added:
                return
            self._lease.renew()  # who was faster had our place, or publishes a last time

    def confirm(self) -> None:
        """Renews the lease; raises LeaseError naming the new holder where it was taken."""
        self._heartbeat.check()
        self._lease.renew()

    def publish(self, step: int, attempt: str, num_ranks: int, files: tuple[FileInfo, ...]) -> CheckpointInfo:
        """Makes the attempt a checkpoint that readers see; raises LeaseError where another writer took over."""
        self.confirm()
        while True:
            info = CheckpointInfo(
                number=self._next_number,
                step=step,
                attempt=attempt,
                token=self._lease.token,
                holder=self._lease.holder,
                created_at=time.time(),
                num_ranks=num_ranks,
                files=files,
            )
            added = self._journal.add(info)
            if not added:
                self._refuse_if_taken_by_another(info.number)
            self._next_number += 1
            if added:
                return info

    def abandon(self) -> None:
        """Stops the heartbeat; the lease runs out by itself."""
        self._heartbeat.stop()

    def close(self) -> None:
        """Stops the heartbeat and gives the lease back."""
        self._heartbeat.stop()
        self._lease.release()

    def _refuse_if_taken_by_another(self, number: int) -> None:
        """A number with our own token is our earlier write, whose reply was lost."""
        entry = self._journal.read(number)
        if entry is not None and entry.token == self._lease.token:
            return
        self._lease.renew()
        raise LeaseError(
            f"{self._lease.holder} (token {self._lease.token}) may not publish number {number}: "
            f"{entry.holder if entry else 'another writer'} has it; start again",
            reason="LEASE_LOST",
        )


def open_writer(store: ObjectStore, holder: str, acquisition: str, wait_seconds: float) -> Writer:
    """The run's writer, once nobody else is; see `acquire_lease`."""
    lease = acquire_lease(
        store,
        LEASE_KEY,
        holder,
        acquisition=acquisition,
        duration_seconds=LEASE_SECONDS,
        wait_seconds=wait_seconds,
    )
    writer = Writer(Journal(store), lease)
    try:
        writer.open_journal()
    except UniaudioError:
        writer.close()
        raise
    except BaseException:  # interrupted: the lease may run out, but nobody may go on renewing it
        writer.abandon()
        raise
    return writer
