"""What waits in the jobs' queue: the same for every process that asks."""

from __future__ import annotations

from sqlalchemy import func, select

from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.model import State
from services.orchestrator.jobs.tables import ITEMS, RECORDINGS


def queued_audio_seconds(database: Database) -> float:
    """Seconds of the recordings of queued items. Blocks; raises UnavailableError where the database is away."""
    seconds = func.coalesce(func.sum(RECORDINGS.c.audio_seconds), 0.0)
    waiting = (
        select(seconds)
        .select_from(ITEMS)
        .join(RECORDINGS, RECORDINGS.c.recording_id == ITEMS.c.recording_id)
        .where(ITEMS.c.state == State.QUEUED.value)
    )
    with database.reading() as connection:
        return float(connection.scalars(waiting).one())
