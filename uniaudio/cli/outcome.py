"""How a command ends: its exit code, and what it says on standard error.

0 done · 1 failed · 2 wrong usage · 3 the input was refused · 4 unavailable, busy or too slow (try again) ·
130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer

from uniaudio.errors import (
    DeadlineError,
    InvalidInputError,
    QueueFullError,
    UnauthenticatedError,
    UnavailableError,
    UniaudioError,
)

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = 3
UNAVAILABLE = 4
INTERRUPTED = 130


def exit_code_of(error: UniaudioError) -> int:
    """The exit code that an error ends a command with."""
    if isinstance(error, InvalidInputError):
        return REFUSED
    if isinstance(error, (UnavailableError, QueueFullError, DeadlineError)):
        return UNAVAILABLE
    return FAILED


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Around a command's work: says on standard error what went wrong, and ends with the right code."""
    try:
        yield
    except UniaudioError as error:
        _tell_error(error, as_json=as_json)
        raise typer.Exit(exit_code_of(error)) from error
    except KeyboardInterrupt as error:
        say("interrupted")
        raise typer.Exit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # Whoever read our output has enough. Python would complain once more at exit, when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from error
    except OSError as error:
        _tell_error(UniaudioError(str(error), reason="FILE"), as_json=as_json)
        raise typer.Exit(FAILED) from error


def say(text: str) -> None:
    """A line for people, on standard error."""
    typer.echo(text, err=True)


def warn(texts: Iterable[str]) -> None:
    """Warnings on standard error, each once."""
    for text in dict.fromkeys(texts):
        if text:
            typer.echo(f"{typer.style('warning:', fg=typer.colors.YELLOW)} {text}", err=True)


def _tell_error(error: UniaudioError, *, as_json: bool) -> None:
    if as_json:
        told = {"reason": error.reason, "message": error.message, "metadata": error.metadata}
        typer.echo(json.dumps({"error": told}, ensure_ascii=False), err=True)
        return
    typer.echo(f"{typer.style('error:', fg=typer.colors.RED)} {error.message}", err=True)
    if isinstance(error, UnauthenticatedError):
        say("--token-file (before the command) or UNIAUDIO_TOKEN says who calls.")
    if error.reason == "UNREACHABLE":
        say("`uniaudio up` starts everything on this machine; --server says where else to look.")
