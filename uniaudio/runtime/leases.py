"""The sole right to a piece of work, for a time: one small object in a store.

The holder renews it by heartbeat. Who takes it over gets the next token; tokens only grow, so whatever
carries an older one can be told from what carries a newer one. A holder may sleep through the loss of its
lease: what must not happen then has to be guarded by a conditional write of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from uniaudio.errors import LeaseError, StoreError
from uniaudio.runtime.object_store import ObjectStore

SKEW_SECONDS = 5.0  # how far the clocks of two machines may be apart
_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class LeaseRecord:
    """What the object says; `expires_at` in seconds since 1970, by the holder's clock."""

    holder: str
    token: int
    acquisition: str  # random: tells one holding from any other, whatever the holder calls itself
    process: str
    num_renewals: int
    expires_at: float

    def to_bytes(self) -> bytes:
        """As the store keeps it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> LeaseRecord:
        """Raises StoreError where the object is not a lease."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"the lease object is damaged ({data[:80]!r}); remove it",
                value=repr(data[:80]),
                limit="a lease record",
                remedy="remove it",
            ) from error

    def is_over(self) -> bool:
        """Whether anybody may take it: given back, run out, or its process of this machine is dead."""
        return time.time() > self.expires_at + SKEW_SECONDS or _is_dead(self.process)


class Lease:
    """A held lease. Thread-safe: a heartbeat and the work may renew it at once."""

    def __init__(
        self, store: ObjectStore, key: str, record: LeaseRecord, tag: str, duration_seconds: float
    ) -> None:
        self._store = store
        self._key = key
        self._record = record
        self._tag = tag
        self._duration_seconds = duration_seconds
        self._lock = threading.Lock()

    @property
    def token(self) -> int:
        """Greater than that of every earlier holder."""
        return self._record.token

    @property
    def holder(self) -> str:
        """What the holder calls itself."""
        return self._record.holder

    def renew(self) -> None:
        """Holds on for the full duration; raises LeaseError naming the new holder where it was taken."""
        self._write(expires_at=time.time() + self._duration_seconds)

    def release(self) -> None:
        """Gives the lease back; who waits for it gets it at once."""
        self._write(expires_at=0.0)

    def _write(self, expires_at: float) -> None:
        with self._lock:
            record = replace(self._record, num_renewals=self._record.num_renewals + 1, expires_at=expires_at)
            tag = self._store.replace(self._key, record.to_bytes(), self._tag)
            if tag is None:
                # An earlier renewal may have arrived though its reply was lost: then the object is still ours.
                found_tag = self._tag_if_ours()
                tag = self._store.replace(self._key, record.to_bytes(), found_tag)
                if tag is None:
                    tag = self._tag_if_ours()
            self._record, self._tag = record, tag

    def _tag_if_ours(self) -> str:
        found = self._store.read(self._key)
        if found is None:
            raise LeaseError(
                f"{self._store.url}/{self._key} was removed while {self.holder} held it; start again",
                reason="LEASE_LOST",
                value=self.holder,
                limit="a lease that exists",
                remedy="start again",
            )
        now = LeaseRecord.from_bytes(found.data)
        if now.acquisition != self._record.acquisition:
            raise LeaseError(
                f"{self._store.url}: {self.holder} (token {self.token}) lost the lease to {now.holder} (token "
                f"{now.token}); leave the work to it, or stop it and start again",
                reason="LEASE_LOST",
                holder=now.holder,
                value=self.holder,
                limit="the holder of the lease",
                remedy="leave the work to the new holder, or stop it and start again",
            )
        return found.tag


def new_acquisition() -> str:
    """A name for one holding that no other has."""
    return secrets.token_hex(8)


def acquire_lease(
    store: ObjectStore,
    key: str,
    holder: str,
    *,
    acquisition: str,
    duration_seconds: float,
    wait_seconds: float,
) -> Lease:
    """The lease at `key`, once nobody else has it.

    `acquisition` (from `new_acquisition`) stays the same when a call is tried again: the lease may be ours
    already, though the reply was lost. Waits for a holder that may be dead, `wait_seconds` at most; raises
    LeaseError at once when the holder shows that it lives.
    """
    deadline = time.monotonic() + wait_seconds
    first_seen: LeaseRecord | None = None
    while True:
        found = store.read(key)
        record = None if found is None else LeaseRecord.from_bytes(found.data)
        if record is None or record.is_over():
            wanted = LeaseRecord(
                holder=holder,
                token=1 if record is None else record.token + 1,
                acquisition=acquisition,
                process=_this_process(),
                num_renewals=0,
                expires_at=time.time() + duration_seconds,
            )
            data = wanted.to_bytes()
            tag = store.create(key, data) if found is None else store.replace(key, data, found.tag)
            if tag is not None:
                return Lease(store, key, wanted, tag, duration_seconds)
        elif found is not None and record.acquisition == acquisition:  # written, though the reply was lost
            return Lease(store, key, record, found.tag, duration_seconds)
        elif record != (first_seen := first_seen or record) or time.monotonic() > deadline:
            raise _refusal(store, record)
        else:
            time.sleep(_POLL_SECONDS)


def _refusal(store: ObjectStore, record: LeaseRecord) -> LeaseError:
    left_seconds = max(0.0, record.expires_at - time.time())
    return LeaseError(
        f"{store.url} is in use: {record.holder} (token {record.token}) holds it for another "
        f"{left_seconds:.0f} s and renews it; stop it, or choose another place",
        holder=record.holder,
        value=record.holder,
        limit="one writer at a time",
        remedy="stop the other, or choose another place",
    )


def _this_process() -> str:
    """Names this process among all of this machine since it was started."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')} {os.getpid()}"


def _is_dead(process: str) -> bool:
    """Whether `process` ran on this machine, among the processes that we can see, and runs no more."""
    *ours, _ = _this_process().split(" ")
    *theirs, pid = process.split(" ")
    return theirs == ours and not Path(f"/proc/{pid}").exists()
