"""Rows of the database, or what has just been written as rows, to what callers see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from services.orchestrator.jobs.codec import ARTIFACT, FAILURE, SPEC, STEPS_DONE, StepsDone
from services.orchestrator.jobs.model import Counts, Item, Job, Progress, Recording, State
from uniaudio.audio.formats import AudioEncoding, AudioFormat


def job_of(row: Any, items: Sequence[Item] = ()) -> Job:
    """A job, with the items that were asked for."""
    return Job(
        job_id=row.job_id,
        request_id=row.request_id,
        caller=row.caller,
        state=State(row.state),
        revision=row.revision,
        counts=Counts(
            total=row.num_items,
            queued=row.num_queued,
            running=row.num_running,
            succeeded=row.num_succeeded,
            failed=row.num_failed,
            cancelled=row.num_cancelled,
        ),
        fraction=min(1.0, max(0.0, row.fraction_sum / row.num_items)),
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        expires_at=row.expires_at,
        items=tuple(items),
    )


def item_of(row: Any) -> Item:
    """An item with all that is known of it."""
    return Item(
        job_id=row.job_id,
        index=row.item_index,
        spec=SPEC.load(row.spec),
        state=State(row.state),
        revision=row.revision,
        progress=Progress(step=row.step, stage=row.stage, fraction=row.fraction),
        num_attempts=row.num_attempts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        retry_at=row.retry_at,
        failure=None if row.failure is None else FAILURE.load(row.failure),
        reports=steps_done_of(row).reports,
        result=None if row.result is None else ARTIFACT.load(row.result),
    )


def steps_done_of(row: Any) -> StepsDone:
    """What an item's chain has come to."""
    return StepsDone() if row.steps_done is None else STEPS_DONE.load(row.steps_done)


def recording_of(row: Row[Any]) -> Recording:
    """A recording that was uploaded."""
    return Recording(
        recording_id=row.recording_id,
        caller=row.caller,
        format=AudioFormat(
            encoding=AudioEncoding(row.encoding), sample_rate=row.sample_rate, num_channels=row.num_channels
        ),
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        audio_seconds=row.audio_seconds,
        expires_at=row.expires_at,
        object_key=row.object_key,
    )
