"""What each caller takes up, and the bounds on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from services.orchestrator.jobs.database import now_seconds
from services.orchestrator.jobs.limits import Quota
from services.orchestrator.jobs.tables import USAGE
from uniaudio.errors import QueueFullError

_RETRY_SECONDS = 5.0


@dataclass
class Account:
    """What a caller takes up; its row is held until the transaction ends."""

    caller: str
    num_jobs: int
    num_items: int
    num_bytes: int
    is_changed: bool = False

    def take(self, quota: Quota, *, jobs: int = 0, items: int = 0, num_bytes: int = 0) -> None:
        """Takes more; raises QueueFullError where that is above the quota, and takes nothing then."""
        _check("jobs that have not ended", self.num_jobs + jobs, quota.max_jobs)
        _check("items that have not ended", self.num_items + items, quota.max_items)
        _check("bytes of recordings and results", self.num_bytes + num_bytes, quota.max_bytes)
        self.num_jobs += jobs
        self.num_items += items
        self.num_bytes += num_bytes
        self.is_changed = True


def lock_accounts(connection: Connection, callers: Iterable[str]) -> tuple[float, dict[str, Account]]:
    """The time, and the accounts of callers, held until the transaction ends; in one order."""
    wanted = sorted(set(callers))
    connection.execute(insert_or_leave(connection, USAGE), [{"caller": caller} for caller in wanted])
    rows = connection.execute(
        select(USAGE, now_seconds().label("now"))
        .where(USAGE.c.caller.in_(wanted))
        .order_by(USAGE.c.caller)
        .with_for_update()
    ).all()
    accounts = {row.caller: Account(row.caller, row.num_jobs, row.num_items, row.num_bytes) for row in rows}
    return rows[0].now, accounts


def write_accounts(connection: Connection, accounts: Mapping[str, Account]) -> None:
    """Stores what was taken."""
    changed = [
        {"key_caller": a.caller, "num_jobs": a.num_jobs, "num_items": a.num_items, "num_bytes": a.num_bytes}
        for a in accounts.values()
        if a.is_changed
    ]
    if changed:
        connection.execute(update(USAGE).where(USAGE.c.caller == bindparam("key_caller")), changed)


def give_back_bytes(connection: Connection, caller: str, num_bytes: int) -> None:
    """Frees bytes that were removed from the store."""
    connection.execute(
        update(USAGE).where(USAGE.c.caller == caller).values(num_bytes=USAGE.c.num_bytes - num_bytes)
    )


def insert_or_leave(connection: Connection, table: Table) -> Any:
    """An insert that leaves a row of the same key as it is; both databases say it alike."""
    insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    return insert(table).on_conflict_do_nothing()


def _check(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise QueueFullError(
            f"the caller would have {count} {what}, the quota is {limit}; "
            "wait for some to end, or delete what is not needed",
            reason="QUOTA_EXCEEDED",
            value=count,
            limit=limit,
            remedy="wait for some to end, or delete what is not needed",
            retry_after_seconds=_RETRY_SECONDS,
        )
