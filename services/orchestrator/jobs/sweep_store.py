"""What the sweeper finds: leases that ran out, messages that were lost, jobs whose time is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, func, or_, select, update

from services.orchestrator.jobs.accounts import give_back_bytes
from services.orchestrator.jobs.database import Database, now_seconds
from services.orchestrator.jobs.limits import Patience, Retention
from services.orchestrator.jobs.model import Failure, State
from services.orchestrator.jobs.tables import ITEMS, JOBS
from services.orchestrator.jobs.transitions import Change, ItemKey, LockedJob, apply, items_of, lock_jobs
from services.orchestrator.jobs.work import given_up

LOST = "WORKER_LOST"
"""Why an item failed whose workers died."""

_MARK_SENT = update(ITEMS).where(
    ITEMS.c.job_id == bindparam("key_job_id"), ITEMS.c.item_index == bindparam("key_index")
)


@dataclass(frozen=True)
class Doomed:
    """A job whose objects are to be removed; the second time, long after, its row goes as well."""

    job_id: str
    is_last_time: bool


class SweepStore:
    """Items and jobs that nobody looks after. Blocking; any number of sweepers may run at once."""

    def __init__(
        self, database: Database, *, patience: Patience | None = None, retention: Retention | None = None
    ) -> None:
        self._database = database
        self._patience = patience or Patience()
        self._retention = retention or Retention()

    def now(self) -> float:
        """Seconds since 1970 by the clock that leases go by."""
        with self._database.reading() as connection:
            return float(connection.scalars(select(now_seconds())).one())

    def reclaim(self, limit: int, share: float) -> int:
        """Takes items back from holders that fell silent; how many. `share` (0 to 1) is drawn at random."""
        most = 2 * self._patience.lease_seconds
        with self._database.reading() as connection:
            keys = _find(connection, State.RUNNING, ITEMS.c.leased_until, most, limit)
        if not keys:
            return 0
        changes = []
        with self._database.transaction() as connection:
            jobs = lock_jobs(connection, (job_id for job_id, _ in keys))
            for row in items_of(connection, keys):
                job = jobs[row.job_id]
                if row.state == State.RUNNING and not job.now <= row.leased_until <= job.now + most:
                    changes.append(Change(row, self._taken_back(row, job, share)))
            apply(connection, jobs, changes)
        return len(changes)

    def due(self, limit: int) -> list[ItemKey]:
        """Items to be sent to workers now, marked as sent: the next sweeps leave them alone for a while."""
        most = 2 * self._patience.max_redispatch_seconds
        with self._database.reading() as connection:
            keys = _find(connection, State.QUEUED, ITEMS.c.dispatch_at, most, limit)

        def sent(row: Row[Any], now: float) -> tuple[float, int] | None:
            if now < row.dispatch_at <= now + most:
                return None  # another sweeper was here
            return now + self._patience.redispatch_after(row.num_dispatches), row.num_dispatches + 1

        return self._mark(keys, sent)

    def unsent(self, keys: Sequence[ItemKey]) -> None:
        """Takes back that items were sent: they are due again soon, as if nobody had tried."""
        pause = self._patience.first_delay_seconds
        self._mark(keys, lambda row, now: (now + pause, max(0, row.num_dispatches - 1)))

    def _mark(
        self, keys: Sequence[ItemKey], mark: Callable[[Row[Any], float], tuple[float, int] | None]
    ) -> list[ItemKey]:
        """Gives queued items the time and number of dispatches that `mark` says; which got some."""
        if not keys:
            return []
        marks = []
        with self._database.transaction() as connection:
            jobs = lock_jobs(connection, (job_id for job_id, _ in keys))
            for row in items_of(connection, keys):
                found = mark(row, jobs[row.job_id].now) if row.state == State.QUEUED else None
                if found is not None:
                    names = ("key_job_id", "key_index", "dispatch_at", "num_dispatches")
                    marks.append(dict(zip(names, (row.job_id, row.item_index, *found), strict=True)))
            if marks:
                connection.execute(_MARK_SENT, marks)
        return [(mark["key_job_id"], mark["key_index"]) for mark in marks]

    def doom(self, limit: int) -> list[Doomed]:
        """Jobs that were deleted or have expired, invisible from now on; and those forgotten long enough."""
        now = now_seconds()
        expired = and_(JOBS.c.ended_at.is_not(None), JOBS.c.expires_at < now)
        over = and_(JOBS.c.purged_at.is_(None), or_(JOBS.c.deleted_at.is_not(None), expired))
        buried = JOBS.c.purged_at < now - self._retention.tombstone_seconds
        with self._database.reading() as connection:
            ids = connection.scalars(select(JOBS.c.job_id).where(over | buried).limit(limit)).all()
        if not ids:
            return []
        with self._database.transaction() as connection:
            jobs = lock_jobs(connection, ids)
            connection.execute(
                update(JOBS)
                .where(JOBS.c.job_id.in_(list(jobs)), over)
                .values(deleted_at=func.coalesce(JOBS.c.deleted_at, now))
            )
        return [Doomed(job_id, job.row.purged_at is not None) for job_id, job in jobs.items()]

    def purged(self, doomed: Doomed) -> None:
        """Notes that a job's objects are gone: what was said in it goes too, its row stays a while."""
        with self._database.transaction() as connection:
            job = lock_jobs(connection, [doomed.job_id]).get(doomed.job_id)
            if job is None or (job.row.purged_at is not None) != doomed.is_last_time:
                return  # another sweeper was here
            if doomed.is_last_time:
                connection.execute(delete(JOBS).where(JOBS.c.job_id == doomed.job_id))
                return
            connection.execute(delete(ITEMS).where(ITEMS.c.job_id == doomed.job_id))
            connection.execute(update(JOBS).where(JOBS.c.job_id == doomed.job_id).values(purged_at=job.now))
            give_back_bytes(connection, job.row.caller, job.row.result_bytes)

    def _taken_back(self, row: Row[Any], job: LockedJob, share: float) -> dict[str, Any]:
        num_crashes, limit = row.num_crashes + 1, self._patience.max_crashes
        is_poison = num_crashes >= limit
        failure = Failure(
            kind="UniaudioError",
            reason=LOST,
            message=(
                f"the worker fell silent {num_crashes} times while it did this item, the limit is {limit}; "
                "send less at once, and report it if it comes back"
            ),
            metadata={
                "value": f"{num_crashes} times",
                "limit": f"{limit} times",
                "remedy": "send less at once, and report it if it comes back",
            },
        )
        retry_seconds = None if is_poison else self._patience.delay(num_crashes, share)
        return {"num_crashes": num_crashes, **given_up(failure, retry_seconds, job)}


def _find(
    connection: Connection, state: State, column: ColumnElement[Any], most: float, limit: int
) -> list[ItemKey]:
    """Items whose time has come, or lies so far ahead that the clock was set back since it was written."""
    now = now_seconds()
    rows = connection.execute(
        select(ITEMS.c.job_id, ITEMS.c.item_index)
        .where(ITEMS.c.state == state.value, or_(column < now, column > now + most))
        .order_by(column)
        .limit(limit)
    )
    return [(row.job_id, row.item_index) for row in rows]
