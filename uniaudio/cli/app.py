"""Every command in one place. Each brings what it needs when it runs, so that `--help` stays fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import uniaudio
from uniaudio.cli.access import remember_token_file
from uniaudio.cli.commands.audit import audit
from uniaudio.cli.commands.edit import edit
from uniaudio.cli.commands.embed_manifest import embed_manifest
from uniaudio.cli.commands.evaluate import evaluate
from uniaudio.cli.commands.info import info
from uniaudio.cli.commands.jobs import jobs
from uniaudio.cli.commands.latents import decode, encode
from uniaudio.cli.commands.speak import speak
from uniaudio.cli.commands.tokens import tokens
from uniaudio.cli.commands.train import train
from uniaudio.cli.commands.transcribe import transcribe
from uniaudio.cli.commands.up import up
from uniaudio.cli.commands.verify import verify
from uniaudio.cli.commands.verify_audio import verify_audio
from uniaudio.cli.commands.voices import voices

HELP = """Understand, speak and edit speech.

`uniaudio up` starts everything on this machine; the others talk to it.
"-" as a file means standard input or output.

Exit codes: 0 done · 1 failed · 2 wrong usage · 3 input refused ·
4 unavailable, busy or too slow (try again) · 130 interrupted.
"""

app = typer.Typer(
    name="uniaudio",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (up, transcribe, speak, edit, encode, decode, verify, info):
    app.command()(command)
app.command(name="eval")(evaluate)
app.command(name="verify-audio")(verify_audio)
app.command(name="embed-manifest")(embed_manifest)
app.add_typer(voices)
app.add_typer(jobs)
app.add_typer(tokens)
app.add_typer(audit)
app.add_typer(train)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"uniaudio {uniaudio.__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            envvar="UNIAUDIO_TOKEN_FILE",
            exists=True,
            dir_okay=False,
            help="File with the token to call with; UNIAUDIO_TOKEN holds the token itself.",
        ),
    ] = None,
) -> None:
    remember_token_file(token_file)
