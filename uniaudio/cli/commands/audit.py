"""`uniaudio audit`: whether an audit log is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.outcome import reported, say
from uniaudio.cli.session import print_json

audit = typer.Typer(name="audit", help="Check the record of what callers did.", no_args_is_help=True)


@audit.callback()
def _audit() -> None:
    return None


@audit.command()
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, help="Files of one log, oldest first, the running one last."
        ),
    ],
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            help="NUMBER:HASH that was kept elsewhere (lines `audit anchor` of the service's log); again and again.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Follow the chain; the first record that was changed, taken out or moved is named."""
    with reported(as_json=json):
        from uniaudio.runtime.guard.audit_verify import parse_anchor, verify_files

        verified = verify_files(files, dict(map(parse_anchor, anchor or [])))
        if json:
            print_json(
                {
                    "num_records": verified.num_records,
                    "begins_after": str(verified.begins_after),
                    "ends_with": str(verified.ends_with),
                }
            )
            return
        typer.echo(f"unbroken: {verified.num_records} records, the last is {verified.ends_with}")
        if verified.begins_after.number:
            say(f"earlier files are not here: the first record follows record {verified.begins_after.number}")
        if not anchor:
            say("a cut end or a chain that was made anew shows only against an --anchor")
