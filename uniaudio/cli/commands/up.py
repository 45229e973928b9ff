"""`uniaudio up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from uniaudio.cli.outcome import reported


def up(
    host: Annotated[
        str,
        typer.Option(
            "--host", envvar="UNIAUDIO_HOST", help="Address to listen on; 0.0.0.0 is every network."
        ),
    ] = "127.0.0.1",
    base_port: Annotated[
        int,
        typer.Option(
            "--base-port",
            min=1,
            max=65505,
            help="Port of the orchestrator; the tokenizer takes the 10th after it, the LLM the 20th to 22nd, "
            "HTTP the 30th.",
        ),
    ] = 50051,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            envvar="UNIAUDIO_MODEL_DIR",
            help="Checkpoint folder; without it nano, the small model that comes with uniaudio.",
        ),
    ] = None,
    tokenizer_backend: Annotated[
        str,
        typer.Option(
            "--tokenizer-backend", help="ray (Ray Serve), or local: one plain process, less memory."
        ),
    ] = "ray",
    ranks: Annotated[
        int,
        typer.Option(
            "--ranks",
            envvar="UNIAUDIO_LLM_RANKS",
            min=1,
            max=1024,
            help="Processes that share the LLM's experts.",
        ),
    ] = 1,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds that the start may take.")
    ] = 300.0,
    keep_logs: Annotated[
        bool,
        typer.Option("--keep-logs", help="Keep the services' logs after the stop, until the next start."),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when everything is ready.")
    ] = False,
) -> None:
    """Start everything on this machine; Ctrl-C stops it. Jobs that were left to it go on at the next start."""
    if tokenizer_backend not in ("ray", "local"):
        raise typer.BadParameter("Choose ray or local.", param_hint="--tokenizer-backend")
    with reported(as_json=json):
        import tempfile

        from uniaudio.cli.up_screen import UpScreen
        from uniaudio.stack import checks
        from uniaudio.stack.plan import cache_folder, make_plan
        from uniaudio.stack.session import SessionOptions, run_stack
        from uniaudio.stack.shipped_model import shipped_model
        from uniaudio.stack.warm_up import make_probes

        folder = model.absolute() if model else shipped_model()
        plan = make_plan(
            host=host,
            base_port=base_port,
            tokenizer_backend=tokenizer_backend,
            ranks=ranks,
            environ={**os.environ, "UNIAUDIO_MODEL_DIR": str(folder)},
        )
        cache = cache_folder()
        checks.check_python_packages()
        checks.check_python_library()
        checks.check_model_folder(plan.environment)
        checks.check_doors(plan)
        checks.check_disks(cache, Path(tempfile.gettempdir()))

        with UpScreen(plan, as_json=json) as screen:
            options = SessionOptions(lock_folder=cache, timeout_seconds=timeout, keep_logs=keep_logs)
            run_stack(plan, make_probes(plan), screen, options)
