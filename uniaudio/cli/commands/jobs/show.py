"""`uniaudio jobs list, get` and `watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from uniaudio.cli import options
from uniaudio.cli.commands.jobs.follow import JobId, WatchTimeout, follow
from uniaudio.cli.jobs_text import COLOURS, clock, item_detail, item_name, job_line, parse_time
from uniaudio.cli.outcome import reported
from uniaudio.cli.session import connected, print_json, print_message
from uniaudio.cli.tables import new_table, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from uniaudio.client import EditJob, JobState


def list_jobs(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="queued, running, succeeded, failed or cancelled; may be given again."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help='Created since, e.g. "2h", "7d" or "2026-01-31 12:00".')
    ] = "",
    before: Annotated[str, typer.Option("--before", help="Created before; as --since.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 20,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 30.0,
    json: options.Json = False,
) -> None:
    """Show your jobs, newest first."""
    created_from = parse_time(since, "--since") if since else None
    created_before = parse_time(before, "--before") if before else None
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from google.protobuf.json_format import MessageToDict

        from uniaudio.client import job_filter

        # Checked by the client, which names the choices.
        states = cast("list[JobState]", state or [])
        filter = job_filter(states=states, created_from=created_from, created_before=created_before)
        found = list(client.jobs.list(filter=filter, limit=limit))
        if json:
            told = [MessageToDict(job, preserving_proto_field_name=True) for job in found]
            print_json({"jobs": told})
        elif found:
            print_table(_jobs_table(found))


def get(
    job: JobId,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 30.0,
    json: options.Json = False,
) -> None:
    """Show a job as it is now, item by item."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        found = client.jobs.get(job)
        if json:
            print_message(found)
            return
        typer.echo(job_line(found))
        typer.echo(
            f"created {clock(found.create_time, day=True)}, expires {clock(found.expire_time, day=True)}"
        )
        print_table(_items_table(found))


def watch(
    job: JobId,
    server: options.Server = "127.0.0.1:50051",
    timeout: WatchTimeout = 86_400.0,
    json: options.Json = False,
) -> None:
    """Follow a job to its end; ends with 1 unless all of it succeeded."""
    with reported(as_json=json), connected(server=server, timeout=30.0) as client:
        follow(client, job, timeout=timeout, as_json=json)


def _jobs_table(found: list[EditJob]) -> Table:
    from uniaudio.client import state_of

    table = new_table("job", "state", "done", "created", "expires")
    for job in found:
        state = state_of(job)
        table.add_row(
            job.job_id,
            f"[{COLOURS[state]}]{state}[/]",
            f"{job.counts.succeeded}/{job.counts.total}",
            clock(job.create_time, day=True),
            clock(job.expire_time, day=True),
        )
    return table


def _items_table(job: EditJob) -> Table:
    from rich.text import Text

    from uniaudio.client import state_of

    table = new_table("#", "recording", "state", "tries", "")
    for item in job.items:
        state = state_of(item)
        cells = (Text(item_name(item)), Text(state, style=COLOURS[state]), Text(str(item.attempts)))
        table.add_row(Text(str(item.index)), *cells, Text(item_detail(item)))
    return table
