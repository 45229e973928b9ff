"""`uniaudio train stop`."""

from __future__ import annotations

from typing import Annotated

import typer

from uniaudio.cli.commands.train.place import Context, JobName, Namespace
from uniaudio.cli.outcome import reported, say
from uniaudio.cli.session import progress


def stop(
    name: JobName,
    wait: Annotated[bool, typer.Option(help="Return once its pods have saved and gone.")] = True,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """End a Job: its pods save a checkpoint and go. Submit it again under the same store to go on."""
    with reported(), progress(f"stopping {name}") as report:
        from uniaudio.cluster.connection import open_cluster
        from uniaudio.cluster.stopping import stop_training

        with open_cluster(context=context, namespace=namespace) as cluster:
            stop_training(
                cluster,
                name,
                wait=wait,
                report=lambda num_left: report(f"stopping {name}: {num_left} pods save", None),
            )
    say(f"{name} is stopped" if wait else f"{name} is stopping")
