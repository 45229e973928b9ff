"""A record of consent says who, when, what for, and what shows it."""

from __future__ import annotations

import pytest

from services.orchestrator.voices.model import check_consent, check_voice_id
from tests.voices_house import new_voice
from uniaudio.errors import InvalidInputError, LimitExceededError

NOW = 1_000_000.0


@pytest.mark.parametrize("voice_id", ["a", "ada", "a-1", "x" * 63])
def test_names(voice_id: str) -> None:
    check_voice_id(voice_id)


@pytest.mark.parametrize(
    "voice_id", ["", "1a", "-a", "Ada", "a_b", "a.wav", "a/b", "../a", "x" * 64, "a\n", "ä"]
)
def test_what_is_no_name(voice_id: str) -> None:
    with pytest.raises(InvalidInputError, match="small letters"):
        check_voice_id(voice_id)


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"evidence": "", "evidence_sha256": "a" * 64},
        {"given_at": NOW},
        {"expires_at": NOW + 1},
    ],
)
def test_records_that_are_taken(good: dict[str, object]) -> None:
    check_consent(new_voice(**good).consent, NOW)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"given_by": " "}, "who gave it"),
        ({"purpose": ""}, "what for"),
        ({"evidence": " "}, "what shows it"),
        ({"evidence_sha256": "A" * 64}, "hash"),
        ({"given_at": 0.0}, "when"),
        ({"given_at": NOW + 1_000}, "when"),
        ({"expires_at": NOW}, "how long"),
        ({"expires_at": 9_223_372_036_854_775_807.0}, "how long"),
    ],
)
def test_records_that_say_too_little(bad: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        check_consent(new_voice(**bad).consent, NOW)
    assert caught.value.reason == "CONSENT_INCOMPLETE"


def test_what_no_database_keeps_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="NUL"):
        check_consent(new_voice(purpose="a\0b").consent, NOW)


@pytest.mark.parametrize("name", ["given_by", "purpose", "evidence"])
def test_records_that_say_too_much(name: str) -> None:
    with pytest.raises(LimitExceededError, match=name):
        check_consent(new_voice(**{name: "x" * 4_001}).consent, NOW)
