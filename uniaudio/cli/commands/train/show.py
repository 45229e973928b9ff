"""`uniaudio train list`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from uniaudio.cli import options
from uniaudio.cli.commands.train.place import COLOURS, Context, Namespace, progress_text
from uniaudio.cli.outcome import reported
from uniaudio.cli.session import print_json, progress
from uniaudio.cli.tables import new_table, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from uniaudio.cluster.listing import ListedJob


def list_training(namespace: Namespace = None, context: Context = None, json: options.Json = False) -> None:
    """Show training Jobs, newest first, and how far each is."""
    with reported(as_json=json), progress("asking the cluster", quiet=json):
        from uniaudio.cluster.connection import open_cluster
        from uniaudio.cluster.listing import list_training

        with open_cluster(context=context, namespace=namespace) as cluster:
            found = list_training(cluster)
    if json:
        print_json([{**asdict(job.state), "progress": _plain(job)} for job in found])
    elif found:
        print_table(_table(found))


def _plain(job: ListedJob) -> dict[str, object] | None:
    return None if job.progress is None else asdict(job.progress)


def _table(found: list[ListedJob]) -> Table:
    from rich.text import Text

    table = new_table("name", "recipe", "state", "pods", "lost", "step", "created", "")
    for job in found:
        state = job.state
        table.add_row(
            state.name,
            state.recipe,
            Text(state.stage, style=COLOURS[state.stage]),
            f"{state.running}/{state.pods}",
            str(state.lost),
            progress_text(job.progress),
            state.created_at,
            Text(state.detail),
        )
    return table
