"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from uniaudio.cli.files import FORMATS

Server = Annotated[
    str, typer.Option("--server", envvar="UNIAUDIO_SERVER", help="Address of the orchestrator, host:port.")
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.001, help="Give up after this many seconds.")]
Json = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]
Recording = Annotated[
    str, typer.Argument(metavar="AUDIO", help='WAV, FLAC, OGG or MP3 file; "-" is standard input.')
]
PcmRate = Annotated[
    int | None,
    typer.Option("--pcm-rate", help="The input is raw 16-bit mono samples at this rate (Hz), not a file."),
]
AudioOutput = Annotated[
    str,
    typer.Option(
        "--output", "-o", help='File to write; its ending chooses the format. "-" is standard output.'
    ),
]
AudioFormatName = Annotated[
    str | None,
    typer.Option("--format", "-f", help=f"Format to write: {', '.join(FORMATS)}. Standard output takes wav."),
]
OutputRate = Annotated[
    int | None, typer.Option("--rate", help="Samples per second to write; 16000 unless said otherwise.")
]
Manifest = Annotated[
    str | None,
    typer.Option("--manifest", help="Write the signed manifest of how the audio was made to this file."),
]
TextInManifest = Annotated[
    bool,
    typer.Option(
        "--text-in-manifest", help="The manifest holds what was asked in words, not its hash alone."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Seed of all randomness: the same seed gives the same audio again."),
]
GuidanceScale = Annotated[
    float | None,
    typer.Option(
        "--guidance-scale",
        help="How strongly speech follows the text, 1 to 20; the model says by default.",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", help="Noise while solving, 0 to 4; the model says by default."),
]
SolverSteps = Annotated[
    int | None, typer.Option("--solver-steps", help="Steps of the solver, 1 to 64 (10 by default).")
]
Takes = Annotated[
    int | None,
    typer.Option(
        "--takes",
        help="Tries, 1 to 16, until the model hears that its words came out right; the model says by default. "
        "With 1 sound leaves while it is made.",
    ),
]
