"""Static tokens: shown once, kept as hashes, followed when the file changes, and never let in by mistake."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from uniaudio.errors import InvalidInputError, StartupError, UnauthenticatedError
from uniaudio.runtime.guard.roles import Role
from uniaudio.runtime.guard.token_file import TokenFile, create_token, read_tokens, revoke_token

ROLES = (Role.SPEECH, Role.JOBS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "tokens.json"


def known(path: Path) -> TokenFile:
    return TokenFile(path, check_seconds=0)


async def test_a_token_names_its_caller(path: Path) -> None:
    token, record = create_token(path, "desk-1", ROLES)
    caller = await known(path).authenticate(token)
    assert (caller.name, caller.roles) == ("desk-1", frozenset(ROLES))
    assert record.id in token


async def test_a_token_brings_limits_of_its_own(path: Path) -> None:
    token, _ = create_token(
        path, "batch", ROLES, limits={"requests_per_minute": 5, "audio_seconds_per_day": 0}
    )
    assert (await known(path).authenticate(token)).limits == {
        "requests_per_minute": 5,
        "audio_seconds_per_day": 0,
    }
    hour, _ = create_token(path, "hour", ROLES, limits={"audio_seconds_per_hour": 7})
    assert (await known(path).authenticate(hour)).limits == {"audio_seconds_per_hour": 7_000}


@pytest.mark.parametrize(
    "limits", [{"requests": 5}, {"requests_per_minute": -1}, {"requests_per_minute": 10**13}]
)
def test_limits_that_are_none_are_refused(path: Path, limits: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(limits))):
        create_token(path, "batch", ROLES, limits=limits)
    create_token(path, "batch", ROLES)
    entry = json.loads(path.read_text())
    entry["tokens"][0]["limits"] = limits
    path.write_text(json.dumps(entry))
    with pytest.raises(StartupError, match=next(iter(limits))):
        TokenFile(path)


def test_the_file_keeps_no_token_and_is_its_owner_s_alone(path: Path) -> None:
    token, _ = create_token(path, "desk-1", ROLES)
    assert token.rpartition("_")[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", [
    lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
    lambda token: token[:-1],
    lambda token: token + "\n",
    lambda token: token.upper(),
    lambda token: "ua_" + "0" * 12 + token[15:],
    lambda token: "",
    lambda token: "ünïcode",
])  # fmt: skip
async def test_a_changed_token_is_nobody_s(path: Path, change) -> None:
    token, _ = create_token(path, "desk-1", ROLES)
    with pytest.raises(UnauthenticatedError):
        await known(path).authenticate(change(token))


async def test_tokens_expire(path: Path) -> None:
    token, record = create_token(path, "desk-1", ROLES, days=1)
    await known(path).authenticate(token)
    entry = json.loads(path.read_text())
    entry["tokens"][0]["expires"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    path.write_text(json.dumps(entry))
    with pytest.raises(UnauthenticatedError, match=f"{record.id} expired"):
        await known(path).authenticate(token)


async def test_changes_are_followed_and_a_damaged_file_changes_nothing(path: Path) -> None:
    first, record = create_token(path, "desk-1", ROLES)
    tokens = known(path)
    second, _ = create_token(path, "desk-2", ROLES)
    assert (await tokens.authenticate(second)).name == "desk-2"
    revoke_token(path, record.id)
    with pytest.raises(UnauthenticatedError):
        await tokens.authenticate(first)
    path.write_text("{")
    assert (await tokens.authenticate(second)).name == "desk-2"
    path.unlink()
    assert (await tokens.authenticate(second)).name == "desk-2"


@pytest.mark.parametrize("content", [
    "", "[]", '{"tokens": [{}]}', '{"tokens": [{"id": 1}]}', '{"tokens": 3}',
])  # fmt: skip
def test_a_file_that_is_none_stops_the_start(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(StartupError, match="uniaudio tokens create"):
        TokenFile(path)


def test_unknown_ids_and_odd_names_are_refused(path: Path) -> None:
    create_token(path, "desk-1", ROLES)
    with pytest.raises(InvalidInputError, match="no token"):
        revoke_token(path, "nope")
    for name in ("", "a b", "oidc/me", "x" * 65, "ä"):
        with pytest.raises(InvalidInputError, match="caller's name"):
            create_token(path, name, ROLES)
    assert len(read_tokens(path)) == 1
