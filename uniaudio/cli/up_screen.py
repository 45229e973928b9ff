"""What `uniaudio up` shows: progress on standard error, the way in on standard output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.status import Status

from uniaudio.cli.outcome import warn
from uniaudio.stack.plan import DEFAULT_BASE_PORT, StackPlan
from uniaudio.stack.run_folder import LOGS
from uniaudio.stack.session import Ready
from uniaudio.stack.warm_up import get_model

_MODEL_TIMEOUT_SECONDS = 30.0


class UpScreen:
    """Tells how a stack fares: a spinner on a terminal, plain lines elsewhere, one JSON line if asked for."""

    def __init__(self, plan: StackPlan, *, as_json: bool) -> None:
        self._plan = plan
        self._as_json = as_json
        self._waiting = [service.name for service in plan.services]
        self._status: Status | None = None
        self._run_folder: Path | None = None
        if sys.stderr.isatty() and not as_json:
            self._status = Console(stderr=True).status("starting")

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def started(self, run_folder: Path) -> None:
        """The services' processes are there; their logs go to `run_folder`."""
        self._say(f"starting {', '.join(self._waiting)} (logs in {run_folder / LOGS})")
        self._show_waiting()

    def service_ready(self, name: str, seconds: float) -> None:
        """A service answered its warm-up request."""
        self._waiting.remove(name)
        self._say(f"{name} ready after {seconds:.1f} s")
        self._show_waiting()

    def ready(self, ready: Ready) -> None:
        """All did: where they are, which model, what to try."""
        model = get_model(self._plan, _MODEL_TIMEOUT_SECONDS)
        if self._status is not None:
            self._status.stop()
        if self._as_json:
            told = {
                "event": "ready",
                "pid": os.getpid(),
                "gateway": self._plan.gateway,
                "orchestrator": self._plan.orchestrator,
                "tokenizer": self._plan.tokenizer,
                "llm": self._plan.llm,
                "model": {"name": model.name, "revision": model.revision, "trained": model.trained},
                "startup_seconds": round(ready.startup_seconds, 2),
                "memory_bytes": ready.memory_bytes,
                "run_folder": str(ready.run_folder),
            }
            typer.echo(json.dumps(told))
            warn([model.notice])
            return
        typer.echo(
            f"\nuniaudio is ready at {self._plan.gateway}: {ready.startup_seconds:.1f} s, "
            f"{ready.memory_bytes / 2**20:.0f} MiB\n\n"
            f"  gateway       {self._plan.gateway}   HTTP as OpenAI's; /docs shows it\n"
            f"  orchestrator  {self._plan.orchestrator}   gRPC uniaudio.v1.SpeechService, health, reflection\n"
            f"  tokenizer     {self._plan.tokenizer}   gRPC uniaudio.v1.TokenizerService\n"
            f"  llm           {self._plan.llm}   Triton; metrics on port "
            f"{self._plan.ports['UNIAUDIO_LLM_METRICS_PORT']}\n"
            f"  model         {model.name}, revision {model.revision}\n"
        )
        warn([model.notice])
        typer.echo(
            "\nTry in another terminal:\n\n" + "\n".join(self._examples()) + "\n\nCtrl-C stops everything."
        )
        sys.stdout.flush()

    def stopping(self) -> None:
        """The stop has begun."""
        if self._status is not None:
            self._status.stop()
        self._say("stopping (once more kills)")

    def _examples(self) -> list[str]:
        here = sys.argv[0] if sys.argv[0].endswith("uniaudio") else "uniaudio"
        relative = os.path.relpath(here)
        command = relative if os.sep in here and len(relative) < len(here) else here
        server = "" if self._plan.ports["UNIAUDIO_ORCHESTRATOR_PORT"] == DEFAULT_BASE_PORT else (
            f" --server {self._plan.orchestrator}"
        )  # fmt: skip
        return [
            f"  {command} speak 'my sister bought a yellow bicycle' -o hello.wav{server}",
            f"  {command} edit hello.wav 'make it 1.5 times faster' -o faster.wav{server}",
            f"  {command} transcribe faster.wav{server}",
        ]

    def _show_waiting(self) -> None:
        if self._status is not None and self._waiting:
            self._status.update(f"waiting for {', '.join(self._waiting)}")

    def _say(self, text: str) -> None:
        """A line on standard error."""
        if self._as_json:
            return
        if self._status is not None:
            self._status.console.print(text, highlight=False)
        else:
            typer.echo(text, err=True)
