"""What workers do to items: claim, hold, end. Each call takes many items and is one transaction.

A claim gives a token that is greater than every earlier one of its item. Whatever a worker writes later is
taken only while the item still runs under that token: a worker that slept, was cancelled or was given up
cannot write any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row

from services.orchestrator.jobs.codec import ARTIFACT, FAILURE, SPEC, STEPS_DONE, StepsDone
from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.limits import Patience
from services.orchestrator.jobs.model import Artifact, Failure, ItemSpec, Progress, State
from services.orchestrator.jobs.rows import steps_done_of
from services.orchestrator.jobs.transitions import Change, ItemKey, LockedJob, apply, items_of, lock_jobs
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The sole right to an item for a time; only who shows the token may write."""

    key: ItemKey
    token: int
    caller: str
    spec: ItemSpec
    steps_done: StepsDone
    num_attempts: int


@dataclass(frozen=True)
class Suspect:
    """An item that was being worked on when its worker died: it is to be claimed and run alone."""

    key: ItemKey


@dataclass(frozen=True)
class Beat:
    """A holder's sign of life, and how far the item is."""

    claim: Claim
    progress: Progress


@dataclass(frozen=True)
class StepEnded:
    """An edit of the chain has ended, and others follow; the holder goes on."""

    claim: Claim
    steps_done: StepsDone


@dataclass(frozen=True)
class Succeeded:
    """The item's result is stored."""

    claim: Claim
    steps_done: StepsDone
    result: Artifact


@dataclass(frozen=True)
class GaveUp:
    """The attempt failed; another begins after `retry_seconds`, none where that is None."""

    claim: Claim
    failure: Failure
    retry_seconds: float | None


@dataclass(frozen=True)
class Released:
    """The holder stops working (its process ends); the attempt does not count."""

    claim: Claim


Outcome = StepEnded | Succeeded | GaveUp | Released


class WorkStore:
    """Items as workers see them. Blocking and thread-safe."""

    def __init__(self, database: Database, *, patience: Patience | None = None) -> None:
        self._database = database
        self._patience = patience or Patience()

    def claim(
        self, keys: Sequence[ItemKey], holder: str, *, alone: bool = False
    ) -> list[Claim | Suspect | None]:
        """For each item the sole right to it, or None where it is not to be had (held, ended, waiting).

        Only who runs nothing else beside it (`alone`) gets a suspect.
        """
        found: dict[ItemKey, Claim | Suspect] = {}
        with self._database.transaction() as connection:
            jobs = lock_jobs(connection, (job_id for job_id, _ in keys))
            changes = []
            for row in items_of(connection, keys):
                job = jobs[row.job_id]
                if row.state != State.QUEUED or _waits(row, job.now, self._patience):
                    continue
                key = (row.job_id, row.item_index)
                if row.num_crashes and not alone:
                    found[key] = Suspect(key)
                    continue
                claim = _claim_of(row, job)
                if claim is not None:
                    changes.append(Change(row, self._claimed(row, job, holder)))
                    found[key] = claim
            apply(connection, jobs, changes)
        # A key that came twice is claimed once.
        return [found.pop(key, None) for key in keys]

    def hold(self, beats: Sequence[Beat]) -> list[bool]:
        """Renews leases and stores progress; for each whether it is still held."""

        return self._write([(beat.claim, beat) for beat in beats], self._renewed)

    def end(self, outcomes: Sequence[Outcome]) -> list[bool]:
        """Commits outcomes; for each whether it counted: only the holder's does, and only once."""
        return self._write([(outcome.claim, outcome) for outcome in outcomes], self._outcome)

    def _write(
        self, claimed: Sequence[tuple[Claim, Any]], change: Callable[[Any, Row[Any], LockedJob], Change]
    ) -> list[bool]:
        with self._database.transaction() as connection:
            jobs = lock_jobs(connection, (claim.key[0] for claim, _ in claimed))
            rows = {(r.job_id, r.item_index): r for r in items_of(connection, [c.key for c, _ in claimed])}
            changes, held = [], []
            for claim, what in claimed:
                row = rows.get(claim.key)
                is_held = row is not None and row.state == State.RUNNING and row.token == claim.token
                held.append(is_held)
                if row is not None and is_held:
                    changes.append(change(what, row, jobs[row.job_id]))
                    del rows[claim.key]
            apply(connection, jobs, changes)
        return held

    def _claimed(self, row: Row[Any], job: LockedJob, holder: str) -> dict[str, Any]:
        return {
            "state": State.RUNNING,
            "token": row.token + 1,
            "holder": holder,
            "leased_until": job.now + self._patience.lease_seconds,
            "num_attempts": row.num_attempts + 1,
            "retry_at": None,
            "started_at": job.now if row.started_at is None else row.started_at,
        }

    def _renewed(self, beat: Beat, row: Row[Any], job: LockedJob) -> Change:
        progress = beat.progress
        fraction = max(row.fraction, progress.fraction)
        told = {"step": progress.step, "stage": progress.stage, "fraction": fraction}
        is_visible = any(getattr(row, name) != value for name, value in told.items())
        return Change(row, {"leased_until": job.now + self._patience.lease_seconds, **told}, is_visible)

    def _outcome(self, outcome: Outcome, row: Row[Any], job: LockedJob) -> Change:
        return Change(row, self._ended(outcome, row, job))

    def _ended(self, outcome: Outcome, row: Row[Any], job: LockedJob) -> dict[str, Any]:
        match outcome:
            case StepEnded():
                return {
                    "steps_done": STEPS_DONE.dump(outcome.steps_done),
                    "step": len(outcome.steps_done.reports),
                    "leased_until": job.now + self._patience.lease_seconds,
                }
            case Succeeded():
                job.after["result_bytes"] = job.result_bytes + outcome.result.size_bytes
                return {
                    "state": State.SUCCEEDED,
                    "steps_done": STEPS_DONE.dump(outcome.steps_done),
                    "result": ARTIFACT.dump(outcome.result),
                    "fraction": 1.0,
                    "stage": "",
                    "failure": None,
                    **_over(job),
                }
            case GaveUp():
                return given_up(outcome.failure, outcome.retry_seconds, job)
            case Released():
                return {**_waiting(job.now), "num_attempts": row.num_attempts - 1, "retry_at": None}


def given_up(failure: Failure, retry_seconds: float | None, job: LockedJob) -> dict[str, Any]:
    """An item whose attempt failed: it waits for another, or has failed for good."""
    if retry_seconds is None:
        return {"state": State.FAILED, "failure": FAILURE.dump(failure), **_over(job)}
    return {
        **_waiting(job.now + retry_seconds),
        "failure": FAILURE.dump(failure),
        "retry_at": job.now + retry_seconds,
    }


def _waiting(dispatch_at: float) -> dict[str, Any]:
    return {"state": State.QUEUED, "dispatch_at": dispatch_at, "num_dispatches": 0, "leased_until": None}


def _over(job: LockedJob) -> dict[str, Any]:
    return {"ended_at": job.now, "leased_until": None, "retry_at": None}


def _waits(row: Row[Any], now: float, patience: Patience) -> bool:
    """Whether its time has not come; a time beyond all delays was written before the clock was set back."""
    return row.retry_at is not None and now < row.retry_at <= now + patience.max_delay_seconds


def _claim_of(row: Row[Any], job: LockedJob) -> Claim | None:
    """None for an item that a newer program wrote: it waits for a worker that can read it."""
    try:
        spec, steps_done = SPEC.load(row.spec), steps_done_of(row)
    except ValidationError:
        log.warning("an item cannot be read by this version", job_id=row.job_id, item=row.item_index)
        return None
    return Claim(
        key=(row.job_id, row.item_index),
        token=row.token + 1,
        caller=job.row.caller,
        spec=spec,
        steps_done=steps_done,
        num_attempts=row.num_attempts + 1,
    )
