"""The `uniaudio` command. Exit codes: see `uniaudio.cli.outcome`."""

from __future__ import annotations


def main() -> None:
    """Runs the command; the process's arguments, its exit code."""
    from uniaudio.cli.app import app

    app(prog_name="uniaudio")
