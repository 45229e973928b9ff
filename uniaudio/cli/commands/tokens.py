"""`uniaudio tokens`: the file of static tokens that a service knows its callers by."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.outcome import reported, say
from uniaudio.cli.session import print_json
from uniaudio.runtime.guard.roles import Role

HELP = """Make, list and take back the tokens that callers show.

The file goes to the orchestrator as UNIAUDIO_KNOWN_TOKENS. It holds hashes, never a token, and is followed
while the service runs.
"""

tokens = typer.Typer(name="tokens", help=HELP, no_args_is_help=True)

TokensFile = Annotated[
    Path,
    typer.Option("--file", envvar="UNIAUDIO_KNOWN_TOKENS", dir_okay=False, help="The file of known tokens."),
]


@tokens.command()
def create(
    name: Annotated[str, typer.Argument(help="The caller's name; quotas and the audit log go by it.")],
    file: TokensFile,
    role: Annotated[list[Role], typer.Option("--role", help="What it may do; may be given again and again.")],
    days: Annotated[
        float | None,
        typer.Option("--days", min=0.001, max=36_500, help="It expires after so many; never, without."),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=0, help="Its own limit instead of everybody's; 0 for none.")
    ] = None,
    audio_seconds_per_hour: Annotated[int | None, typer.Option(min=0, help="Likewise.")] = None,
    audio_seconds_per_day: Annotated[int | None, typer.Option(min=0, help="Likewise.")] = None,
    json: options.Json = False,
) -> None:
    """Make a token. It is printed here, once, and kept nowhere."""
    with reported(as_json=json):
        from uniaudio.runtime.guard.token_file import create_token

        wanted = {
            "requests_per_minute": requests_per_minute,
            "audio_seconds_per_hour": audio_seconds_per_hour,
            "audio_seconds_per_day": audio_seconds_per_day,
        }
        limits = {limit: value for limit, value in wanted.items() if value is not None}
        token, record = create_token(file, name, tuple(role), days=days, limits=limits)
        if json:
            print_json({"token": token, "id": record.id, "name": name, "expires": record.expires})
            return
        typer.echo(token)
        say(f"token {record.id} of {name}, {_lifetime(record.expires)}; it is not shown again")


@tokens.command("list")
def list_tokens(file: TokensFile, json: options.Json = False) -> None:
    """Show whose tokens are known, never the tokens."""
    with reported(as_json=json):
        from uniaudio.runtime.guard.token_file import read_tokens

        now = datetime.now(UTC)
        records = read_tokens(file).values()
        if json:
            rows = [{**asdict(record), "expired": record.is_expired(now)} for record in records]
            for row in rows:
                del row["sha256"]
            print_json(rows)
            return
        for record in records:
            lifetime = "expired" if record.is_expired(now) else _lifetime(record.expires)
            limits = " ".join(f"{limit}={value}" for limit, value in record.limits.items())
            line = f"{record.id}  {record.name:24}  {','.join(record.roles):20}  {lifetime}  {limits}"
            typer.echo(line.rstrip())


@tokens.command()
def revoke(
    token_id: Annotated[
        str, typer.Argument(metavar="ID", help="Its id, as `uniaudio tokens list` shows it.")
    ],
    file: TokensFile,
) -> None:
    """Take a token back; services notice within a second."""
    with reported():
        from uniaudio.runtime.guard.token_file import revoke_token

        record = revoke_token(file, token_id)
        say(f"token {record.id} of {record.name} is no longer known")


def _lifetime(expires: str) -> str:
    return f"until {expires}" if expires else "without end"
