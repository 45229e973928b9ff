"""How items and jobs change: locked, looked at, decided, written, all in one transaction.

Whoever changes anything of a job holds its row, so the decision is made on what is true. What follows from
an item's change for its job (counts, state, revision) and its caller (what they take up) is written here and
nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, tuple_, update

from services.orchestrator.jobs.database import now_seconds
from services.orchestrator.jobs.model import State
from services.orchestrator.jobs.tables import ITEMS, JOBS, USAGE

ItemKey = tuple[str, int]
"""A job's id and an item's index: all that a message to a worker carries."""


@dataclass
class LockedJob:
    """A job's row, held until the transaction ends; `after` is what it will be."""

    row: Row[Any]
    now: float
    after: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return self.after[name] if name in self.after else getattr(self.row, name)

    def touch(self) -> None:
        """Gives the job a new revision, once a transaction."""
        if "revision" not in self.after:
            self.after.update(revision=self.row.revision + 1, updated_at=self.now)


@dataclass(frozen=True)
class Change:
    """What becomes of an item: its row as it was locked, and the columns that get other values.

    What is not visible to callers (a lease that is renewed) makes no new revision.
    """

    row: Row[Any]
    values: Mapping[str, Any]
    is_visible: bool = True


def lock_jobs(connection: Connection, job_ids: Iterable[str]) -> dict[str, LockedJob]:
    """The jobs that exist, held until the transaction ends; in one order, so that nobody waits in a circle."""
    wanted = sorted(set(job_ids))
    rows = connection.execute(
        select(JOBS, now_seconds().label("now"))
        .where(JOBS.c.job_id.in_(wanted))
        .order_by(JOBS.c.job_id)
        .with_for_update()
    )
    return {row.job_id: LockedJob(row, row.now) for row in rows}


def items_of(connection: Connection, keys: Sequence[ItemKey]) -> list[Row[Any]]:
    """The rows of items whose jobs are locked, in the order of the keys."""
    key = tuple_(ITEMS.c.job_id, ITEMS.c.item_index)
    found = {
        (row.job_id, row.item_index): row
        for row in connection.execute(select(ITEMS).where(key.in_(list(keys))))
    }
    return [found[key] for key in dict.fromkeys(keys) if key in found]


def apply(connection: Connection, jobs: Mapping[str, LockedJob], changes: Sequence[Change]) -> None:
    """Writes the changes of items and what follows from them; at most one change an item."""
    written = []
    for change in changes:
        job = jobs[change.row.job_id]
        if change.is_visible:
            job.touch()
        written.append(_written(change, job))
        _count(job, change)
    for rows in _by_columns(written):
        connection.execute(_UPDATE_ITEM, rows)
    changed = [job for job in jobs.values() if job.after]
    ended = [job for job in changed if _settle(job)]
    for rows in _by_columns({"key_job_id": job.row.job_id, **job.after} for job in changed):
        connection.execute(_UPDATE_JOB, rows)
    _release(connection, ended)


def _written(change: Change, job: LockedJob) -> dict[str, Any]:
    row, values = change.row, dict(change.values)
    if change.is_visible:
        values["revision"] = job.revision
    # The condition holds already, as the job is locked; that it is written down makes it checkable.
    return {"key_job_id": row.job_id, "key_index": row.item_index, "key_token": row.token, **values}


def _count(job: LockedJob, change: Change) -> None:
    before, after = change.row.state, change.values.get("state", change.row.state)
    if before != after:
        for name, step in ((f"num_{before}", -1), (f"num_{after}", +1)):
            job.after[name] = getattr(job, name) + step
    moved = change.values.get("fraction", change.row.fraction) - change.row.fraction
    if moved:
        job.after["fraction_sum"] = job.fraction_sum + moved


def _settle(job: LockedJob) -> bool:
    """Gives the job its state; True where that ended it just now."""
    if job.num_running and job.started_at is None:
        job.after["started_at"] = job.now
    if job.num_queued or job.num_running:
        state = State.QUEUED if job.started_at is None else State.RUNNING
    elif job.num_failed:
        state = State.FAILED
    else:
        state = State.CANCELLED if job.num_cancelled else State.SUCCEEDED
    just_ended = state.is_final and not State(job.row.state).is_final
    job.after["state"] = state
    if just_ended:
        job.after.update(ended_at=job.now, expires_at=job.now + job.ttl_seconds)
    return just_ended


def _release(connection: Connection, ended: Sequence[LockedJob]) -> None:
    """Gives callers back the places of jobs that ended; results count as theirs from now on."""
    freed: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for job in ended:
        for place, amount in enumerate((1, job.num_items, job.result_bytes)):
            freed[job.row.caller][place] += amount
    if freed:
        statement = (
            update(USAGE)
            .where(USAGE.c.caller == bindparam("key_caller"))
            .values(
                num_jobs=USAGE.c.num_jobs - bindparam("ended_jobs"),
                num_items=USAGE.c.num_items - bindparam("ended_items"),
                num_bytes=USAGE.c.num_bytes + bindparam("result_bytes"),
            )
        )
        connection.execute(
            statement,
            [
                {"key_caller": caller, "ended_jobs": jobs, "ended_items": items, "result_bytes": size}
                for caller, (jobs, items, size) in sorted(freed.items())
            ],
        )


def _by_columns(rows: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows that write the same columns go in one statement."""
    grouped: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[frozenset(row)].append(row)
    return list(grouped.values())


_UPDATE_ITEM = update(ITEMS).where(
    ITEMS.c.job_id == bindparam("key_job_id"),
    ITEMS.c.item_index == bindparam("key_index"),
    ITEMS.c.token == bindparam("key_token"),
)
_UPDATE_JOB = update(JOBS).where(JOBS.c.job_id == bindparam("key_job_id"))
