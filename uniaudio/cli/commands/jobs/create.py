"""`uniaudio jobs create` and `batch`: recordings and instructions to a job that will be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from uniaudio.cli import options
from uniaudio.cli.commands.jobs.follow import TransferTimeout, follow
from uniaudio.cli.files import FORMATS, STANDARD, existing_file, read_recording
from uniaudio.cli.jobs_text import parse_seconds
from uniaudio.cli.outcome import reported
from uniaudio.cli.session import connected, print_message, progress

if TYPE_CHECKING:
    from uniaudio.client import EditItem, EditStep, SpeechClient

_WATCH_SECONDS = 86_400.0

Format = Annotated[str, typer.Option("--format", "-f", help=f"Format of the results: {', '.join(FORMATS)}.")]
Engine = Annotated[
    str,
    typer.Option("--engine", help="Who does it: auto (exact where the edit can be exact), model, or exact."),
]
Regenerate = Annotated[
    bool, typer.Option("--regenerate", help="Do not copy what was not edited from the source.")
]
RequestId = Annotated[
    str,
    typer.Option(
        "--request-id", help="Makes this safe to repeat: the same id gives the same job, made once."
    ),
]
Keep = Annotated[
    str, typer.Option("--keep", help='How long results stay after the end, e.g. "2h" or "7d" (30d at most).')
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow the job to its end.")]


def create(
    audio: options.Recording,
    instructions: Annotated[
        list[str],
        typer.Argument(
            metavar="INSTRUCTION",
            help="What to do, in English or Chinese. "
            "Several are a chain: each is applied to the result of the one before.",
        ),
    ],
    transcript: Annotated[
        str, typer.Option("--transcript", help="What the recording says, where you know it.")
    ] = "",
    engine: Engine = "auto",
    regenerate: Regenerate = False,
    format: Format = "wav",
    rate: options.OutputRate = None,
    pcm_rate: options.PcmRate = None,
    seed: options.Seed = None,
    request_id: RequestId = "",
    keep: Keep = "",
    watch: Watch = False,
    server: options.Server = "127.0.0.1:50051",
    timeout: TransferTimeout = 3600.0,
    json: options.Json = False,
) -> None:
    """Leave one recording to be edited, and print the job's id."""
    _check_format(format)
    source = read_recording(audio, pcm_rate)
    with reported(as_json=json), connected(server=server, timeout=30.0) as client:
        from uniaudio.client import EditItem

        edits = _steps(instructions, engine, transcript, seed, regenerate=regenerate)
        item = EditItem(
            audio=source,
            edits=edits,
            output_format=FORMATS[format],
            output_sample_rate=rate,
            label="" if audio != STANDARD else "standard input",
        )
        _begin(client, [item], request_id, keep, timeout, watch=watch, as_json=json)


def batch(
    audio: Annotated[list[str], typer.Argument(metavar="AUDIO", help="WAV, FLAC, OGG or MP3 files.")],
    do: Annotated[
        list[str],
        typer.Option(
            "--do", help="An instruction; may be given again and again: every recording with every one."
        ),
    ],
    chain: Annotated[
        bool,
        typer.Option(
            "--chain", help="Apply all instructions to each recording one after the other, as one edit."
        ),
    ] = False,
    engine: Engine = "auto",
    regenerate: Regenerate = False,
    format: Format = "wav",
    rate: options.OutputRate = None,
    seed: options.Seed = None,
    request_id: RequestId = "",
    keep: Keep = "",
    watch: Watch = False,
    server: options.Server = "127.0.0.1:50051",
    timeout: TransferTimeout = 3600.0,
    json: options.Json = False,
) -> None:
    """Leave many recordings to be edited as one job, and print its id."""
    _check_format(format)
    paths = [existing_file(path) for path in audio]
    with reported(as_json=json), connected(server=server, timeout=30.0) as client:
        from uniaudio.client import EditItem

        steps = _steps(do, engine, "", seed, regenerate=regenerate)
        chains = [steps] if chain else [[step] for step in steps]
        items = [
            EditItem(audio=path, edits=edits, output_format=FORMATS[format], output_sample_rate=rate)
            for path in paths
            for edits in chains
        ]
        _begin(client, items, request_id, keep, timeout, watch=watch, as_json=json)


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise typer.BadParameter(
            f"{format!r} is not known; use one of {', '.join(FORMATS)}.", param_hint="--format"
        )


def _steps(
    instructions: list[str], engine: str, transcript: str, seed: int | None, *, regenerate: bool
) -> list[EditStep]:
    """The edits, of which only the first begins with words that the caller knows."""
    from uniaudio.client import edit_step, sampling

    return [
        edit_step(
            instruction,
            # Checked by the client, which names the choices.
            engine=cast(Literal["auto", "model", "exact"], engine),
            transcript=transcript if number == 0 else "",
            regenerate_untouched=regenerate,
            sampling=None if seed is None else sampling(seed=seed),
        )
        for number, instruction in enumerate(instructions)
    ]


def _begin(
    client: SpeechClient,
    items: list[EditItem],
    request_id: str,
    keep: str,
    timeout: float,
    *,
    watch: bool,
    as_json: bool,
) -> None:
    ttl_seconds = parse_seconds(keep, "--keep") if keep else None
    with progress("uploading", quiet=as_json):
        job = client.jobs.create(
            items, request_id=request_id, ttl_seconds=ttl_seconds, timeout_seconds=timeout
        )
    if not as_json:
        typer.echo(job.job_id)
    elif not watch:
        print_message(job)
    if watch:
        follow(client, job.job_id, timeout=_WATCH_SECONDS, as_json=as_json)
