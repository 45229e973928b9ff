"""Tokens and the audit log from the command line, and commands that say who calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.fakes_server import FakeServices, serve
from uniaudio.cli.app import app
from uniaudio.runtime.guard.audit_log import AuditLog
from uniaudio.runtime.guard.roles import Role
from uniaudio.runtime.guard.token_file import TokenFile


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(
        app, list(arguments), env={"UNIAUDIO_TOKEN": "", "UNIAUDIO_TOKEN_FILE": "", **environ}
    )


async def test_a_token_is_made_listed_and_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    made = run(
        "tokens",
        "create",
        "desk-1",
        "--file",
        str(file),
        "--role",
        "speech",
        "--role",
        "jobs",
        "--days",
        "30",
    )
    token = made.stdout.strip()
    assert (made.exit_code, "not shown again" in made.stderr) == (0, True)
    caller = await TokenFile(file).authenticate(token)
    assert (caller.name, caller.roles) == ("desk-1", {Role.SPEECH, Role.JOBS})
    listed = run("tokens", "list", UNIAUDIO_KNOWN_TOKENS=str(file)).stdout
    assert "desk-1" in listed
    assert "jobs,speech" in listed
    (row,) = json.loads(run("tokens", "list", "--file", str(file), "--json").stdout)
    assert "sha256" not in row
    assert row["expired"] is False
    assert run("tokens", "revoke", row["id"], "--file", str(file)).exit_code == 0
    assert run("tokens", "revoke", row["id"], "--file", str(file)).exit_code == 3
    assert json.loads(run("tokens", "list", "--file", str(file), "--json").stdout) == []


async def test_a_token_may_have_its_own_limits(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens.json")
    limits = ("--requests-per-minute", "600", "--audio-seconds-per-day", "0")
    made = run("tokens", "create", "batch", "--file", file, "--role", "jobs", *limits)
    caller = await TokenFile(Path(file)).authenticate(made.stdout.strip())
    assert caller.limits == {"requests_per_minute": 600, "audio_seconds_per_day": 0}
    assert "requests_per_minute=600 audio_seconds_per_day=0" in run("tokens", "list", "--file", file).stdout


def test_odd_names_and_roles_are_refused(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens.json")
    assert run("tokens", "create", "a b", "--file", file, "--role", "speech").exit_code == 3
    assert run("tokens", "create", "ann", "--file", file, "--role", "king").exit_code == 2
    assert run("tokens", "create", "ann", "--file", file).exit_code == 2
    assert run("tokens", "list", "--file", file).exit_code == 1


@pytest.mark.parametrize("way", ["environment", "file", "file in the environment"])
def test_commands_carry_the_token(tmp_path: Path, way: str) -> None:
    file = tmp_path / "token"
    file.write_text("ua_secret\n")
    before = ["--token-file", str(file)] if way == "file" else []
    environ = {
        "environment": {"UNIAUDIO_TOKEN": "ua_secret"},
        "file": {"UNIAUDIO_TOKEN": "another"},
        "file in the environment": {"UNIAUDIO_TOKEN_FILE": str(file)},
    }[way]
    with serve(FakeServices()) as fake:
        assert run(*before, "info", "--server", fake.address, **environ).exit_code == 0
        assert fake.authorizations == ["Bearer ua_secret"]


def test_a_token_does_not_travel_in_plaintext(tmp_path: Path) -> None:
    result = run("info", "--server", "speech.example:443", UNIAUDIO_TOKEN="ua_secret")
    assert result.exit_code == 3
    assert "without encryption" in result.stderr
    (tmp_path / "empty").write_text("")
    assert run("--token-file", str(tmp_path / "empty"), "info").exit_code == 3


def test_an_audit_log_is_verified_and_its_first_broken_record_named(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path)
    for number in range(5):
        log.append({"kind": "call", "caller": f"ann-{number}"})
    log.close()
    anchor = str(log.link)
    good = run("audit", "verify", str(path))
    assert (good.exit_code, anchor in good.stdout) == (0, True)
    assert (
        json.loads(run("audit", "verify", str(path), "--anchor", anchor, "--json").stdout)["num_records"] == 6
    )
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert run("audit", "verify", str(path)).exit_code == 0
    cut = run("audit", "verify", str(path), "--anchor", anchor)
    assert (cut.exit_code, "record 6, which an anchor names, is missing" in cut.stderr) == (1, True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"ann-1", b"bob-1"), *lines[3:]]))
    changed = run("audit", "verify", str(path))
    assert (changed.exit_code, "line 3: record 3 was changed" in changed.stderr) == (1, True)
    assert run("audit", "verify", str(path), "--anchor", "six").exit_code == 3
