"""`uniaudio jobs`: edits that outlive the command that asked for them."""

from __future__ import annotations

import typer

from uniaudio.cli.commands.jobs.create import batch, create
from uniaudio.cli.commands.jobs.download import download
from uniaudio.cli.commands.jobs.end import cancel, delete
from uniaudio.cli.commands.jobs.show import get, list_jobs, watch

HELP = """Edit many or long recordings as jobs that survive any crash.

`create` and `batch` print the new job's id on standard output; the others take it. What a job made stays until
it expires. A watch that is interrupted does not end the job: watch it again.
"""

jobs = typer.Typer(name="jobs", help=HELP, no_args_is_help=True)
for command in (create, batch, get, watch, cancel, delete, download):
    jobs.command()(command)
jobs.command(name="list")(list_jobs)
