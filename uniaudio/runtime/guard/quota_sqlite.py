"""Counters in SQLite: in memory for one process, in a file for all processes of one machine."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from uniaudio.runtime.guard.quota import NUM_BUCKETS, Charge, Refused, Taken, store_away, wait_of

_BUSY_SECONDS = 2.0
_SCHEMA = """CREATE TABLE IF NOT EXISTS used (
  caller TEXT NOT NULL, quota TEXT NOT NULL, bucket INTEGER NOT NULL, amount INTEGER NOT NULL,
  PRIMARY KEY (caller, quota, bucket)
) WITHOUT ROWID"""

T = TypeVar("T")


def _wall_clock() -> int:
    return time.time_ns() // 1000


class SqliteCounters:
    """A CounterStore. Processes that share a file share its machine's clock (microseconds since 1970)."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], int] = _wall_clock) -> None:
        self._where = str(path or ":memory:")
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def take(self, charges: Sequence[Charge]) -> Taken | Refused:
        """Counts all charges, or none where one would exceed its limit."""
        return await self._transaction(lambda connection: self._take(connection, charges))

    async def give_back(self, taken: Taken, amount: int) -> None:
        """Takes `amount` out of the buckets of every charge again."""
        rows = [
            (amount, charge.caller, charge.quota.name, bucket)
            for charge, bucket in zip(taken.charges, taken.buckets, strict=True)
        ]
        await self._transaction(
            lambda connection: connection.executemany(
                "UPDATE used SET amount = max(0, amount - ?) WHERE caller = ? AND quota = ? AND bucket = ?",
                rows,
            )
        )

    async def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _take(self, connection: sqlite3.Connection, charges: Sequence[Charge]) -> Taken | Refused:
        now = self._clock()
        buckets = tuple(now // charge.quota.bucket_microseconds for charge in charges)
        for charge, bucket in zip(charges, buckets, strict=True):
            counter = (charge.caller, charge.quota.name)
            connection.execute(
                "DELETE FROM used WHERE caller = ? AND quota = ? AND bucket < ?",
                (*counter, bucket - NUM_BUCKETS),
            )
            rows = connection.execute(
                "SELECT bucket, amount FROM used WHERE caller = ? AND quota = ? ORDER BY bucket", counter
            ).fetchall()
            used = sum(amount for _, amount in rows)
            if used + charge.amount > charge.quota.limit:
                return Refused(charge=charge, used=used, wait_seconds=wait_of(rows, charge, now))
        connection.executemany(
            "INSERT INTO used VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
            [
                (charge.caller, charge.quota.name, bucket, charge.amount)
                for charge, bucket in zip(charges, buckets, strict=True)
            ],
        )
        return Taken(charges=tuple(charges), buckets=buckets)

    async def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise store_away(self._where, error) from error
            return result

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # Autocommit: transactions are begun by hand, so that reading and counting are one.
            connection = sqlite3.connect(
                self._where, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
            self._connection = connection
        return self._connection
