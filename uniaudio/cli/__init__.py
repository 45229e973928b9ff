"""The `uniaudio` command. Exit codes: see `uniaudio.cli.outcome`."""

from __future__ import annotations

import os


def main() -> None:
    """Runs the command; the process's arguments, its exit code."""
    # gRPC's own notes about connections would mix with what a command says.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from uniaudio.cli.app import app

    app(prog_name="uniaudio")
