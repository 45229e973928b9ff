"""`uniaudio jobs download`: what a job made, into files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.commands.jobs.follow import JobId, TransferTimeout
from uniaudio.cli.files import check_output, writing
from uniaudio.cli.outcome import FAILED, reported, say, warn
from uniaudio.cli.session import connected, print_json, progress

if TYPE_CHECKING:
    from uniaudio.client import EditJob, EditJobItem, SpeechClient

_UNSAFE = re.compile(r"[^\w.=+-]+")
_MAX_STEM_CHARACTERS = 80


def download(
    job: JobId,
    item: Annotated[
        int | None, typer.Option("--item", "-i", min=0, help="One item, by its number, instead of all.")
    ] = None,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help='File for one item. "-" is standard output.'),
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            "-d",
            help="Folder for the results, each named after its recording; made if missing.",
        ),
    ] = None,
    server: options.Server = "127.0.0.1:50051",
    timeout: TransferTimeout = 3600.0,
    json: options.Json = False,
) -> None:
    """Fetch what a job made: one item into a file, or all that succeeded into a folder."""
    if bool(output) == (folder is not None):
        raise typer.BadParameter("Say where to: either --output FILE, or --folder DIR.")
    if output:
        check_output(output, [], as_json=json)
    with reported(as_json=json), connected(server=server, timeout=30.0) as client:
        if folder is None:
            _fetch(client, job, item or 0, output, timeout)
            files = [output]
        else:
            items = _chosen(client.jobs.get(job), item)
            files = list(_fetch_all(client, job, items, folder, timeout, quiet=json))
        if json:
            print_json({"files": files})
        if not files:
            raise typer.Exit(FAILED)


def _chosen(job: EditJob, index: int | None) -> list[EditJobItem]:
    """The items that were asked for: one, whatever its state, or all that succeeded."""
    from uniaudio.client import state_of

    if index is not None:
        if index >= len(job.items):
            raise typer.BadParameter(
                f"The job has items 0 to {len(job.items) - 1}, not {index}.", param_hint="--item"
            )
        return [job.items[index]]
    succeeded = [item for item in job.items if state_of(item) == "succeeded"]
    if len(succeeded) < len(job.items):
        warn([f"{len(job.items) - len(succeeded)} of {len(job.items)} items have no result"])
    return succeeded


def _fetch_all(
    client: SpeechClient,
    job_id: str,
    items: list[EditJobItem],
    folder: Path,
    timeout: float,
    *,
    quiet: bool,
) -> Iterator[str]:
    """The paths of the files, each once it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    with progress("downloading", quiet=quiet) as report:
        for number, item in enumerate(items):
            path = str(folder / _file_name(item))
            report(path, number / len(items))
            _fetch(client, job_id, item.index, path, timeout)
            if not quiet:
                say(path)
            yield path


def _fetch(client: SpeechClient, job_id: str, index: int, output: str, timeout: float) -> None:
    with writing(output) as file:
        for piece in client.jobs.download(job_id, index, timeout_seconds=timeout):
            file.write(piece)


def _file_name(item: EditJobItem) -> str:
    """Number, the recording's own name, and the format's ending; nothing that leads out of the folder."""
    from uniaudio.v1 import audio_pb2

    name = audio_pb2.AudioEncoding.Name(item.result.format.encoding).removeprefix("AUDIO_ENCODING_")
    ending = "pcm" if name.startswith("PCM") else name.lower()
    stem = _UNSAFE.sub("_", Path(item.spec.label).stem)[:_MAX_STEM_CHARACTERS].strip("._")
    return f"{item.index:04}{f'-{stem}' if stem else ''}.{ending}"
