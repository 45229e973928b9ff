"""What a voice is, in plain values. Times are seconds since 1970."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from services.orchestrator.jobs.model import check_text
from uniaudio.audio.formats import AudioFormat
from uniaudio.errors import InvalidInputError, LimitExceededError, NotFoundError, PermissionDeniedError

MAX_VOICES = 1_000
"""Of one caller."""
MAX_PAGE_SIZE = 1_000
_VOICE_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CLOCK_SLACK_SECONDS = 300.0
_YEAR_10000 = 253_402_300_800.0
"""A google.protobuf.Timestamp knows no later one, so nobody could be told of such a voice."""
_MAX_CHARACTERS = {"given_by": 200, "purpose": 1_000, "evidence": 4_000}


class VoiceState(Enum):
    """Whether a voice may be imitated."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True)
class Consent:
    """That a person agreed: who, when, what for, what shows it, and until when (None: for ever)."""

    given_by: str
    given_at: float
    purpose: str
    evidence: str = ""
    evidence_sha256: str = ""
    expires_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A voice with its record. `folder` is where its objects lie in the store, a name made at random."""

    caller: str
    voice_id: str
    transcript: str
    format: AudioFormat
    audio_seconds: float
    audio_sha256: str
    consent: Consent
    folder: str
    created_at: float
    revoked_at: float | None = None

    def state(self, now: float) -> VoiceState:
        """Whether it may be imitated at that time."""
        if self.revoked_at is not None:
            return VoiceState.REVOKED
        expires_at = self.consent.expires_at
        return VoiceState.EXPIRED if expires_at is not None and expires_at <= now else VoiceState.ACTIVE

    def is_same_as(self, other: Voice) -> bool:
        """Whether both are one recording with one consent, whenever they were created."""
        return (self.audio_sha256, self.format, self.consent) == (
            other.audio_sha256,
            other.format,
            other.consent,
        )


def check_voice_id(voice_id: str) -> None:
    """Raises InvalidInputError for what is no name of a voice."""
    if not _VOICE_ID.fullmatch(voice_id):
        raise InvalidInputError(
            f"voice_id is {voice_id[:64]!r}; use 1 to 63 small letters, digits and hyphens, a letter first",
            value=voice_id[:64],
            limit="1 to 63 small letters, digits and hyphens, a letter first",
            remedy="choose such a name",
        )


def check_consent(consent: Consent, now: float) -> None:
    """Raises InvalidInputError or LimitExceededError for a record that does not say who, when, and what for."""
    for name, limit in _MAX_CHARACTERS.items():
        text: str = getattr(consent, name)
        if len(text) > limit:
            raise LimitExceededError(
                f"consent.{name} has {len(text)} characters, the limit is {limit}; say it shorter",
                value=len(text),
                limit=limit,
                remedy="say it shorter",
            )
        check_text(f"consent.{name}", text)
    if not consent.given_by.strip() or not consent.purpose.strip():
        raise _incomplete("who gave it and what for", "given_by and purpose")
    if not consent.evidence.strip() and not consent.evidence_sha256:
        raise _incomplete("what shows it", "evidence, or evidence_sha256 of a document that you keep")
    if consent.evidence_sha256 and not _SHA256.fullmatch(consent.evidence_sha256):
        raise _incomplete("a hash of its evidence", "evidence_sha256 as 64 small hexadecimal digits")
    if not 0 < consent.given_at <= now + _CLOCK_SLACK_SECONDS:
        raise _incomplete("when it was given", "give_time, not in the future")
    if consent.expires_at is not None and not now < consent.expires_at < _YEAR_10000:
        raise _incomplete(
            "how long it holds", "an expire_time in the future and before the year 10000, or none"
        )


def check_usable(voice: Voice, now: float) -> None:
    """Raises PermissionDeniedError unless the voice may be imitated now."""
    state = voice.state(now)
    if state is VoiceState.ACTIVE:
        return
    what = "ran out" if state is VoiceState.EXPIRED else "was taken back"
    raise PermissionDeniedError(
        f"the consent to imitate the voice {voice.voice_id!r} {what}; ask the person again and create the voice "
        "anew with what they say, or use another voice",
        reason=f"CONSENT_{state.name}",
        value=voice.voice_id,
        limit="a voice whose consent holds",
        remedy="ask the person again and create the voice anew, or use another voice",
    )


def no_voice(voice_id: str) -> NotFoundError:
    """For a voice that its caller does not have."""
    return NotFoundError(
        f"there is no voice {voice_id[:64]!r}; list your voices, or create this one",
        value=voice_id[:64],
        limit="voices that were created and not deleted",
        remedy="list your voices, or create this one",
    )


def _incomplete(what: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(
        f"the consent record does not say {what}; give {remedy}",
        reason="CONSENT_INCOMPLETE",
        value=f"not {what}",
        limit="who, when, what for, and what shows it",
        remedy=f"give {remedy}",
    )
