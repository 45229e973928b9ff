"""What `watch` does, and `create --watch` after it: a job from now to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uniaudio.cli.jobs_screen import JobScreen
from uniaudio.cli.jobs_text import job_line
from uniaudio.cli.outcome import FAILED, say
from uniaudio.cli.session import print_message

if TYPE_CHECKING:
    from uniaudio.client import SpeechClient

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `create` and `list` print it.")]
JobIds = Annotated[list[str], typer.Argument(metavar="JOB", help="Ids of jobs.")]
TransferTimeout = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds that sending or fetching a recording may take.")
]
WatchTimeout = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Stop watching after this many seconds.")
]


def follow(client: SpeechClient, job_id: str, *, timeout: float, as_json: bool) -> None:
    """Shows a job until it has ended; ends the command with 1 unless every item succeeded."""
    from uniaudio.client import state_of

    state, line = "", ""
    with JobScreen(quiet=as_json) as screen:
        for job in client.jobs.watch(job_id, timeout_seconds=timeout):
            screen.show(job)
            state, line = state_of(job), job_line(job)
            if as_json:
                print_message(job)
    if not as_json:
        say(line)
    if state != "succeeded":
        raise typer.Exit(FAILED)
