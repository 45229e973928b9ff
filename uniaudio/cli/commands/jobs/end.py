"""`uniaudio jobs cancel` and `delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.commands.jobs.follow import JobIds
from uniaudio.cli.jobs_text import job_line
from uniaudio.cli.outcome import reported, say
from uniaudio.cli.session import connected, print_json, print_message


def cancel(
    job: JobIds,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 30.0,
    json: options.Json = False,
) -> None:
    """End jobs that have not ended; what they made stays."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        for job_id in job:
            ended = client.jobs.cancel(job_id)
            if json:
                print_message(ended)
            else:
                say(job_line(ended))


def delete(
    job: JobIds,
    missing_ok: Annotated[
        bool, typer.Option("--missing-ok", help="Succeed where there is no such job.")
    ] = False,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 30.0,
    json: options.Json = False,
) -> None:
    """Remove jobs with all that they made, cancelling those that have not ended."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        for job_id in job:
            client.jobs.delete(job_id, allow_missing=missing_ok)
            if not json:
                say(f"{job_id} deleted")
        if json:
            print_json({"deleted": job})
