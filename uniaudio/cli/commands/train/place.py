"""Which cluster a command means, and a Job's state in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uniaudio.cluster.progress import Progress
    from uniaudio.cluster.state import TrainingState

Context = Annotated[
    str | None, typer.Option("--context", help="A context of the kubeconfig, instead of its current one.")
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Instead of the one that the context names.")
]
JobName = Annotated[
    str, typer.Argument(metavar="NAME", help="The Job's name, as `submit` and `list` print it.")
]

COLOURS = {
    "queued": "dim",
    "starting": "yellow",
    "running": "cyan",
    "stopping": "yellow",
    "succeeded": "green",
    "failed": "red",
}


def state_line(state: TrainingState) -> str:
    """A Job in one line: what it does, with how many pods, and why."""
    parts = [f"{state.name} {state.stage}, {state.running} of {state.pods} pods run"]
    parts += [f"{state.lost} lost"] if state.lost else []
    return ", ".join(parts) + (f": {state.detail}" if state.detail else "")


def progress_text(progress: Progress | None) -> str:
    """How far a run is."""
    if progress is None:
        return ""
    left = f", {progress.left} left" if progress.left and progress.step < progress.num_steps else ""
    return f"{progress.run} {progress.step}/{progress.num_steps}{left}"
