"""Recordings in the database: announced before their bytes come, and gone after their bytes are."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, case, delete, exists, insert, select, update

from services.orchestrator.jobs.accounts import give_back_bytes, lock_accounts, write_accounts
from services.orchestrator.jobs.database import Database, now_seconds
from services.orchestrator.jobs.limits import Quota, Retention
from services.orchestrator.jobs.model import Recording
from services.orchestrator.jobs.rows import recording_of
from services.orchestrator.jobs.tables import ITEMS, JOBS, RECORDINGS
from uniaudio.audio.formats import AudioFormat
from uniaudio.errors import NotFoundError

_ARRIVAL_SECONDS = 3_600.0
"""An upload that did not end by then is given up; a job that names a recording keeps it at least so long."""


class RecordingStore:
    """Recordings of all callers. Blocking and thread-safe; every method is one transaction."""

    def __init__(
        self, database: Database, *, quota: Quota | None = None, retention: Retention | None = None
    ) -> None:
        self._database = database
        self._quota = quota or Quota()
        self._retention = retention or Retention()

    def announce(
        self, caller: str, format: AudioFormat, *, sha256: str, size_bytes: int, audio_seconds: float
    ) -> tuple[Recording, bool]:
        """The recording, and whether its bytes are there already; raises QueueFullError above the quota.

        Until `arrived`, nobody but uploads of the same bytes sees it.
        """
        values = {
            "caller": caller,
            "sha256": sha256,
            "encoding": format.encoding.value,
            "sample_rate": format.sample_rate,
            "num_channels": format.num_channels,
        }
        same = [RECORDINGS.c[name] == value for name, value in values.items()]
        with self._database.transaction() as connection:
            now, accounts = lock_accounts(connection, [caller])
            row = connection.execute(select(RECORDINGS).where(*same, RECORDINGS.c.state != "leaving")).first()
            if row is None:
                accounts[caller].take(self._quota, num_bytes=size_bytes)
                connection.execute(
                    insert(RECORDINGS).values(
                        **values,
                        recording_id=secrets.token_hex(16),
                        size_bytes=size_bytes,
                        audio_seconds=audio_seconds,
                        object_key="",
                        state="arriving",
                        expires_at=now + _ARRIVAL_SECONDS,
                    )
                )
                write_accounts(connection, accounts)
            else:
                prolong(connection, [row.recording_id], now + _ARRIVAL_SECONDS)
            row = connection.execute(select(RECORDINGS).where(*same, RECORDINGS.c.state != "leaving")).one()
            return recording_of(row), row.state == "ready"

    def arrived(self, recording: Recording, object_key: str) -> Recording:
        """The recording, which jobs may name from now on; where uploads met, the first one's object counts.

        Raises NotFoundError where it took so long that it was given up.
        """
        first = case((RECORDINGS.c.object_key == "", object_key), else_=RECORDINGS.c.object_key)
        with self._database.transaction() as connection:
            row = connection.execute(
                update(RECORDINGS)
                .where(RECORDINGS.c.recording_id == recording.recording_id, RECORDINGS.c.state != "leaving")
                .values(
                    state="ready",
                    object_key=first,
                    expires_at=now_seconds() + self._retention.recording_seconds,
                )
                .returning(RECORDINGS)
            ).first()
        if row is None:
            raise no_recording(recording.recording_id)
        return recording_of(row)

    def find(self, recording_id: str) -> Recording:
        """A recording that is ready, whoever's it is; raises NotFoundError where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(RECORDINGS).where(
                    RECORDINGS.c.recording_id == recording_id, RECORDINGS.c.state == "ready"
                )
            ).first()
        if row is None:
            raise no_recording(recording_id)
        return recording_of(row)

    def doom(self, limit: int) -> list[Recording]:
        """Recordings whose time is over and that no job names: their bytes are to be removed, then `forget`."""
        named = exists().where(
            ITEMS.c.recording_id == RECORDINGS.c.recording_id,
            JOBS.c.job_id == ITEMS.c.job_id,
            JOBS.c.deleted_at.is_(None),
        )
        over = (RECORDINGS.c.expires_at < now_seconds()) & ~named
        with self._database.transaction() as connection:
            ids = connection.scalars(
                select(RECORDINGS.c.recording_id)
                .where((RECORDINGS.c.state == "leaving") | over)
                .order_by(RECORDINGS.c.recording_id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            rows = connection.execute(
                update(RECORDINGS)
                .where(RECORDINGS.c.recording_id.in_(ids), (RECORDINGS.c.state == "leaving") | over)
                .values(state="leaving")
                .returning(RECORDINGS)
            ).all()
        return [recording_of(row) for row in rows]

    def forget(self, recording: Recording) -> None:
        """Removes a doomed recording, whose bytes are gone."""
        with self._database.transaction() as connection:
            removed = connection.execute(
                delete(RECORDINGS)
                .where(RECORDINGS.c.recording_id == recording.recording_id, RECORDINGS.c.state == "leaving")
                .returning(RECORDINGS.c.recording_id)
            ).first()
            if removed is not None:
                give_back_bytes(connection, recording.caller, recording.size_bytes)


def hold_recordings(connection: Connection, recording_ids: Iterable[str], now: float) -> dict[str, str]:
    """The owners of those recordings that are ready, which stay for an hour at least."""
    return {
        row.recording_id: row.caller
        for row in prolong(connection, sorted(set(recording_ids)), now + _ARRIVAL_SECONDS)
        if row.state == "ready"
    }


def prolong(connection: Connection, recording_ids: Sequence[str], until: float) -> Sequence[Any]:
    """Recordings that are not leaving, kept until then at least."""
    later = case((RECORDINGS.c.expires_at < until, until), else_=RECORDINGS.c.expires_at)
    return connection.execute(
        update(RECORDINGS)
        .where(RECORDINGS.c.recording_id.in_(recording_ids), RECORDINGS.c.state != "leaving")
        .values(expires_at=later)
        .returning(RECORDINGS.c.recording_id, RECORDINGS.c.caller, RECORDINGS.c.state)
    ).all()


def no_recording(recording_id: str) -> NotFoundError:
    """For an id that names no recording, or another caller's."""
    return NotFoundError(
        f"there is no recording {recording_id[:40]!r}; upload it (again), and name it by the id that you get",
        reason="RECORDING_NOT_FOUND",
        value=recording_id[:40],
        limit="recordings of the caller that are not removed",
        remedy="upload it (again)",
    )
