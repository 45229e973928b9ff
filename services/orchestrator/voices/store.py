"""Voices in the database: small rows, each change one transaction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.orchestrator.jobs.database import Database
from services.orchestrator.voices.model import MAX_VOICES, Consent, Voice, no_voice
from services.orchestrator.voices.tables import VOICES
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import LimitExceededError


class VoiceStore:
    """Voices of all callers. Blocking and thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, voice: Voice) -> Voice:
        """The voice of that name: this one, or one that was there before. LimitExceededError above MAX_VOICES."""
        try:
            with self._database.transaction() as connection:
                count = select(func.count()).where(VOICES.c.caller == voice.caller)
                found = _find(connection, voice.caller, voice.voice_id)
                if found is not None:
                    return found
                if connection.execute(count).scalar_one() >= MAX_VOICES:
                    raise _too_many()
                connection.execute(insert(VOICES).values(**_values(voice)))
        except IntegrityError:  # another replica was a moment faster
            return self.get(voice.caller, voice.voice_id)
        return voice

    def find(self, caller: str, voice_id: str) -> Voice | None:
        """The caller's voice of that name, or None."""
        with self._database.reading() as connection:
            return _find(connection, caller, voice_id)

    def get(self, caller: str, voice_id: str) -> Voice:
        """The caller's voice of that name; NotFoundError where there is none."""
        found = self.find(caller, voice_id)
        if found is None:
            raise no_voice(voice_id)
        return found

    def list(self, caller: str, *, after: str, limit: int) -> list[Voice]:
        """The caller's voices by name, those after `after`, at most so many."""
        statement = select(VOICES).where(VOICES.c.caller == caller, VOICES.c.voice_id > after)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(VOICES.c.voice_id).limit(limit)).all()
        return [_voice(row) for row in rows]

    def revoke(self, caller: str, voice_id: str, now: float) -> Voice:
        """The voice, its consent taken back now or before; NotFoundError where there is none."""
        change = update(VOICES).where(*_is(caller, voice_id), VOICES.c.revoked_at.is_(None))
        with self._database.transaction() as connection:
            connection.execute(change.values(revoked_at=now))
            found = _find(connection, caller, voice_id)
        if found is None:
            raise no_voice(voice_id)
        return found

    def delete(self, caller: str, voice_id: str) -> Voice | None:
        """Removes the row and gives what it was; None where there was none."""
        with self._database.transaction() as connection:
            found = _find(connection, caller, voice_id)
            connection.execute(delete(VOICES).where(*_is(caller, voice_id)))
        return found

    def usable_folders(self, folders: Collection[str], now: float) -> set[str]:
        """Those of the folders that belong to a voice that may be imitated now."""
        expires_at = VOICES.c.consent_expires_at
        statement = select(VOICES.c.folder).where(
            VOICES.c.folder.in_(sorted(folders)),
            VOICES.c.revoked_at.is_(None),
            expires_at.is_(None) | (expires_at > now),
        )
        with self._database.reading() as connection:
            return set(connection.execute(statement).scalars())


def _is(caller: str, voice_id: str) -> tuple[Any, Any]:
    return VOICES.c.caller == caller, VOICES.c.voice_id == voice_id


def _find(connection: Connection, caller: str, voice_id: str) -> Voice | None:
    row = connection.execute(select(VOICES).where(*_is(caller, voice_id))).first()
    return None if row is None else _voice(row)


def _values(voice: Voice) -> dict[str, Any]:
    consent = voice.consent
    return {
        "caller": voice.caller,
        "voice_id": voice.voice_id,
        "transcript": voice.transcript,
        "encoding": voice.format.encoding.value,
        "sample_rate": voice.format.sample_rate,
        "num_channels": voice.format.num_channels,
        "audio_seconds": voice.audio_seconds,
        "audio_sha256": voice.audio_sha256,
        "given_by": consent.given_by,
        "given_at": consent.given_at,
        "purpose": consent.purpose,
        "evidence": consent.evidence,
        "evidence_sha256": consent.evidence_sha256,
        "consent_expires_at": consent.expires_at,
        "folder": voice.folder,
        "created_at": voice.created_at,
        "revoked_at": voice.revoked_at,
    }


def _voice(row: Row[Any]) -> Voice:
    return Voice(
        caller=row.caller,
        voice_id=row.voice_id,
        transcript=row.transcript,
        format=AudioFormat(
            encoding=AudioEncoding(row.encoding), sample_rate=row.sample_rate, num_channels=row.num_channels
        ),
        audio_seconds=row.audio_seconds,
        audio_sha256=row.audio_sha256,
        consent=Consent(
            given_by=row.given_by,
            given_at=row.given_at,
            purpose=row.purpose,
            evidence=row.evidence,
            evidence_sha256=row.evidence_sha256,
            expires_at=row.consent_expires_at,
        ),
        folder=row.folder,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def _too_many() -> LimitExceededError:
    return LimitExceededError(
        f"there are {MAX_VOICES} voices already, the limit is {MAX_VOICES}; delete one that is not needed",
        value=MAX_VOICES,
        limit=MAX_VOICES,
        remedy="delete one that is not needed",
    )
