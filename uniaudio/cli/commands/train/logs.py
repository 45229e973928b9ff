"""`uniaudio train logs`, and what `submit --follow` does after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uniaudio.cli.commands.train.place import Context, JobName, Namespace, state_line
from uniaudio.cli.outcome import FAILED, reported, say

if TYPE_CHECKING:
    from uniaudio.cluster.cluster import Cluster
    from uniaudio.cluster.state import TrainingState

_WEEK_SECONDS = 604_800.0


def logs(
    name: JobName,
    index: Annotated[
        int, typer.Option("--index", min=0, help="Which of the Job's pods; the first reports for all.")
    ] = 0,
    namespace: Namespace = None,
    context: Context = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.001, help="Stop following after this many seconds.")
    ] = _WEEK_SECONDS,
) -> None:
    """Follow what a Job says, from pod to pod, to its end; ends with 1 unless it succeeded."""
    with reported():
        from uniaudio.cluster.connection import open_cluster

        with open_cluster(context=context, namespace=namespace) as cluster:
            follow(cluster, name, index=index, timeout=timeout)


def follow(cluster: Cluster, name: str, *, index: int = 0, timeout: float = _WEEK_SECONDS) -> None:
    """Prints the log to standard output, and on standard error how the Job stands while it says nothing."""
    from uniaudio.cluster.following import LogFollower

    said = ""

    def report(state: TrainingState) -> None:
        nonlocal said
        if (line := state_line(state)) != said:
            said = line
            say(line)

    state = LogFollower(cluster, name, index=index, write=typer.echo, report=report).follow(timeout)
    report(state)
    if state.stage != "succeeded":
        raise typer.Exit(FAILED)
