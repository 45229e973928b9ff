"""Messages of the voice registry from Python values."""

from __future__ import annotations

import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from uniaudio.client.audio import AudioSource, audio_message
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import voices_pb2

Voice = voices_pb2.Voice
Consent = voices_pb2.Consent


def consent(
    given_by: str,
    purpose: str,
    *,
    given_at: datetime.datetime | None = None,
    evidence: str = "",
    evidence_sha256: str = "",
    expires_at: datetime.datetime | None = None,
) -> Consent:
    """That a person agreed to have their voice imitated: who, what for, when (now where it is not told).

    `evidence` says in words what shows it, or `evidence_sha256` is the hash of a document that the caller
    keeps. Times need a zone.
    """
    return Consent(
        given_by=given_by,
        purpose=purpose,
        give_time=_timestamp(given_at or datetime.datetime.now(datetime.UTC)),
        evidence=evidence,
        evidence_sha256=evidence_sha256,
        expire_time=None if expires_at is None else _timestamp(expires_at),
    )


def create_request(
    voice_id: str, audio: AudioSource, consent: Consent, *, transcript: str, sample_rate: int | None
) -> voices_pb2.CreateVoiceRequest:
    """The message of one voice."""
    return voices_pb2.CreateVoiceRequest(
        voice_id=voice_id, audio=audio_message(audio, sample_rate), transcript=transcript, consent=consent
    )


def _timestamp(time: datetime.datetime) -> Timestamp:
    if time.tzinfo is None:
        raise InvalidInputError(
            f"{time.isoformat()} has no time zone; give one, e.g. datetime.UTC",
            value=time.isoformat(),
            limit="a time with its zone",
            remedy="give a time zone",
        )
    made = Timestamp()
    made.FromDatetime(time)
    return made
