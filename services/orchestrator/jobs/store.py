"""What callers do to jobs, each in one transaction; several creations at once share one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, tuple_, update

from services.orchestrator.jobs.accounts import lock_accounts, write_accounts
from services.orchestrator.jobs.codec import SPEC, digest_of
from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.limits import Patience, Quota, Retention
from services.orchestrator.jobs.model import (
    Item,
    ItemSpec,
    Job,
    JobPage,
    JobQuery,
    JobSpec,
    State,
    check_spec,
    check_text,
    is_id,
)
from services.orchestrator.jobs.pages import filtered, page_size_of, token_after
from services.orchestrator.jobs.recording_store import hold_recordings, no_recording
from services.orchestrator.jobs.rows import item_of, job_of
from services.orchestrator.jobs.tables import ITEMS, JOBS
from services.orchestrator.jobs.transitions import Change, LockedJob, apply, lock_jobs
from uniaudio.errors import NotFoundError, PreconditionError, UniaudioError


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job that a caller wants; its digest is of what they asked for, before seeds were drawn."""

    caller: str
    request_id: str
    spec: JobSpec
    digest: str
    job_id: str = field(default_factory=lambda: secrets.token_hex(16))


def new_job(caller: str, request_id: str, spec: JobSpec) -> NewJob:
    """A job with a seed for every edit, so that each attempt makes the same audio."""
    check_text("request_id", request_id)
    check_spec(spec)
    for item in spec.items:
        if not is_id(item.recording_id):
            raise no_recording(item.recording_id)
    seeded = replace(spec, items=tuple(_seeded(item) for item in spec.items))
    return NewJob(caller=caller, request_id=request_id, spec=seeded, digest=digest_of(spec))


def _seeded(item: ItemSpec) -> ItemSpec:
    steps = tuple(replace(step, sampling=step.sampling.with_seed()[0]) for step in item.steps)
    return replace(item, steps=steps)


@dataclass(frozen=True)
class Created:
    """A job that is stored; `job` is None where an earlier request had created it: it may be further by now."""

    job_id: str
    job: Job | None = None


class JobStore:
    """Jobs of all callers. Blocking and thread-safe; every method is one transaction."""

    def __init__(
        self,
        database: Database,
        *,
        quota: Quota | None = None,
        retention: Retention | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._database = database
        self._quota = quota or Quota()
        self._retention = retention or Retention()
        self._patience = patience or Patience()

    def create(self, wanted: Sequence[NewJob]) -> list[Created | UniaudioError]:
        """What became of each, in order; one that is refused leaves the others alone."""
        results: list[Created | UniaudioError] = []
        jobs: list[dict[str, Any]] = []
        items: list[dict[str, Any]] = []
        with self._database.transaction() as connection:
            now, accounts = lock_accounts(connection, [job.caller for job in wanted])
            known = _known(connection, wanted)
            named = [item.recording_id for job in wanted for item in job.spec.items]
            owners = hold_recordings(connection, named, now)
            for job in wanted:
                key = (job.caller, job.request_id)
                try:
                    if key in known:
                        results.append(_again(job, *known[key]))
                        continue
                    _check_owner(job, owners)
                    accounts[job.caller].take(self._quota, jobs=1, items=len(job.spec.items))
                except UniaudioError as error:
                    results.append(error)
                    continue
                job_row, item_rows = self._job_row(job, now), self._item_rows(job, now)
                jobs.append(job_row)
                items.extend(item_rows)
                known[key] = (job.job_id, job.digest, False)
                results.append(Created(job.job_id, _as_stored(job_row, item_rows)))
            if jobs:
                connection.execute(insert(JOBS), jobs)
                connection.execute(insert(ITEMS), items)
                write_accounts(connection, accounts)
        return results

    def check_ready(self) -> None:
        """Returns when the database answers; raises UnavailableError otherwise."""
        self._database.check_ready()

    def get(self, caller: str, job_id: str, *, after_revision: int = 0) -> Job:
        """The job with those items that changed after a revision; NotFoundError where the caller has none."""
        with self._database.reading() as connection:
            row = _visible(connection, caller, job_id)
            return job_of(row, _items(connection, job_id, after_revision))

    def item(self, caller: str, job_id: str, index: int) -> Item:
        """One item of a job; NotFoundError where there is none."""
        with self._database.reading() as connection:
            _visible(connection, caller, job_id)
            row = connection.execute(
                select(ITEMS).where(ITEMS.c.job_id == job_id, ITEMS.c.item_index == index)
            ).first()
        if row is None:
            raise NotFoundError(
                f"the job has no item {index}; count from 0",
                reason="ITEM_NOT_FOUND",
                value=index,
                limit="items of the job",
                remedy="count from 0",
            )
        return item_of(row)

    def revisions(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The revisions of those jobs that are visible: what watchers ask for again and again."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(JOBS.c.job_id, JOBS.c.revision).where(
                    JOBS.c.job_id.in_(job_ids), JOBS.c.deleted_at.is_(None)
                )
            )
            return {row.job_id: row.revision for row in rows}

    def page(self, caller: str, query: JobQuery) -> JobPage:
        """The caller's jobs, newest first, without their items."""
        size = page_size_of(query)
        mine = select(JOBS).where(JOBS.c.caller == caller, JOBS.c.deleted_at.is_(None))
        newest_first = filtered(mine, query).order_by(JOBS.c.created_at.desc(), JOBS.c.job_id.desc())
        with self._database.reading() as connection:
            rows = connection.execute(newest_first.limit(size + 1)).all()
        token = token_after(rows[size - 1], query) if len(rows) > size else ""
        return JobPage(jobs=tuple(job_of(row) for row in rows[:size]), next_page_token=token)

    def cancel(self, caller: str, job_id: str) -> Job:
        """The job, of which nothing runs or waits any more."""
        with self._database.transaction() as connection:
            _cancel(connection, _lock(connection, caller, job_id))
            return job_of(_visible(connection, caller, job_id), _items(connection, job_id))

    def delete(self, caller: str, job_id: str) -> None:
        """Cancels a job and hides it; the sweeper removes what it made."""
        with self._database.transaction() as connection:
            job = _lock(connection, caller, job_id)
            _cancel(connection, job)
            connection.execute(
                update(JOBS)
                .where(JOBS.c.job_id == job_id)
                .values(deleted_at=job.now, revision=JOBS.c.revision + 1)
            )

    def _job_row(self, job: NewJob, now: float) -> dict[str, Any]:
        ttl_seconds = job.spec.ttl_seconds or self._retention.job_seconds
        num_items = len(job.spec.items)
        return {
            "job_id": job.job_id,
            "caller": job.caller,
            "request_id": job.request_id,
            "digest": job.digest,
            "state": State.QUEUED,
            "revision": 1,
            "num_items": num_items,
            "num_queued": num_items,
            **dict.fromkeys(("num_running", "num_succeeded", "num_failed", "num_cancelled"), 0),
            "fraction_sum": 0.0,
            "result_bytes": 0,
            "ttl_seconds": ttl_seconds,
            "created_at": now,
            "updated_at": now,
            "expires_at": now + ttl_seconds,
        }

    def _item_rows(self, job: NewJob, now: float) -> list[dict[str, Any]]:
        # Who creates a job sends its items at once; the sweeper does where that was lost.
        dispatch_at = now + self._patience.redispatch_after(0)
        return [
            {
                "job_id": job.job_id,
                "item_index": index,
                "recording_id": spec.recording_id,
                "spec": SPEC.dump(spec),
                "state": State.QUEUED,
                "revision": 1,
                **dict.fromkeys(("step", "token", "num_attempts", "num_crashes"), 0),
                "num_dispatches": 1,
                "stage": "",
                "holder": "",
                "fraction": 0.0,
                "dispatch_at": dispatch_at,
            }
            for index, spec in enumerate(job.spec.items)
        ]


def _as_stored(job_row: dict[str, Any], item_rows: list[dict[str, Any]]) -> Job:
    """A new job as it is read back; columns that are not written are empty."""
    rows = [SimpleNamespace(**{**dict.fromkeys(ITEMS.c.keys()), **row}) for row in item_rows]
    return job_of(
        SimpleNamespace(**{**dict.fromkeys(JOBS.c.keys()), **job_row}), [item_of(row) for row in rows]
    )


def _known(connection: Connection, wanted: Sequence[NewJob]) -> dict[tuple[str, str], tuple[str, str, bool]]:
    """Jobs that exist under the wanted request ids: id, digest, and whether they are deleted."""
    keys = [(job.caller, job.request_id) for job in wanted]
    rows = connection.execute(
        select(JOBS.c.caller, JOBS.c.request_id, JOBS.c.job_id, JOBS.c.digest, JOBS.c.deleted_at).where(
            tuple_(JOBS.c.caller, JOBS.c.request_id).in_(keys)
        )
    )
    return {
        (row.caller, row.request_id): (row.job_id, row.digest, row.deleted_at is not None) for row in rows
    }


def _again(job: NewJob, job_id: str, digest: str, is_deleted: bool) -> Created:
    if digest == job.digest and not is_deleted:
        return Created(job_id)
    what = "for a job that was deleted" if is_deleted else "for something else"
    raise PreconditionError(
        f"the request id {job.request_id!r} was used {what}; give every new request its own",
        reason="REQUEST_ID_REUSED",
        value=job.request_id,
        limit="one job of an id",
        remedy="give every new request its own",
    )


def _check_owner(job: NewJob, owners: dict[str, str]) -> None:
    for item in job.spec.items:
        if owners.get(item.recording_id) != job.caller:
            raise no_recording(item.recording_id)


def _visible(connection: Connection, caller: str, job_id: str) -> Row[Any]:
    if not is_id(job_id):  # before a database that takes offence at some characters
        raise no_job(job_id)
    row = connection.execute(
        select(JOBS).where(JOBS.c.job_id == job_id, JOBS.c.caller == caller, JOBS.c.deleted_at.is_(None))
    ).first()
    if row is None:
        raise no_job(job_id)
    return row


def _lock(connection: Connection, caller: str, job_id: str) -> LockedJob:
    if not is_id(job_id):
        raise no_job(job_id)
    job = lock_jobs(connection, [job_id]).get(job_id)
    if job is None or job.row.caller != caller or job.row.deleted_at is not None:
        raise no_job(job_id)
    return job


def _items(connection: Connection, job_id: str, after_revision: int = 0) -> list[Item]:
    rows = connection.execute(
        select(ITEMS)
        .where(ITEMS.c.job_id == job_id, ITEMS.c.revision > after_revision)
        .order_by(ITEMS.c.item_index)
    )
    return [item_of(row) for row in rows]


def _cancel(connection: Connection, job: LockedJob) -> None:
    """Ends every item that has not ended; who holds a lease on one finds it gone."""
    unfinished = connection.execute(
        select(ITEMS).where(
            ITEMS.c.job_id == job.row.job_id, ITEMS.c.state.in_([State.QUEUED, State.RUNNING])
        )
    ).all()
    ended = {"state": State.CANCELLED, "ended_at": job.now, "leased_until": None, "retry_at": None}
    if unfinished:
        apply(connection, {job.row.job_id: job}, [Change(row, ended) for row in unfinished])


def no_job(job_id: str) -> NotFoundError:
    """For an id that names no job, or another caller's."""
    return NotFoundError(
        f"there is no job {job_id[:40]!r}; it was deleted, has expired, or is another caller's",
        reason="JOB_NOT_FOUND",
        value=job_id[:40],
        limit="jobs of the caller that are kept",
        remedy="see the list of jobs",
    )
