"""What the README shows of nano, made with it: `python -m tools.nano_examples RECORDING ...` beside `make run`.

Runs commands on a recording that nano never heard, prints what they print, and draws spectrograms into docs/nano.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from uniaudio.evaluation.plots import spectrogram
from uniaudio.evaluation.recordings import read_recording

FOLDER = Path(__file__).resolve().parent.parent / "docs/nano"
RATE, SEED = 16000, "4"  # the README's commands give the same again


def main(
    recording: Annotated[Path, typer.Argument(help="A recording of nano's domain.", exists=True)],
    text: Annotated[str, typer.Option(help="What is said in it.")],
    sentence: Annotated[str, typer.Option(help="What to say in its voice.")],
    instruction: Annotated[list[str], typer.Option(help="An edit to make of it; may be given again.")],
) -> None:
    """Make nano's examples."""
    run("transcribe", recording)
    made = {"source": recording, "spoken": FOLDER / "spoken.flac"}
    run("speak", sentence, "--voice", recording, "--voice-text", text, "--seed", SEED, "-o", made["spoken"])
    for number, wanted in enumerate(instruction, 1):
        made[f"edit{number}"] = FOLDER / f"edit{number}.flac"
        run("edit", recording, wanted, "--seed", SEED, "-o", made[f"edit{number}"])
        run("transcribe", made[f"edit{number}"])
    waveforms = {name: read_recording(path) for name, path in made.items()}
    longest = max(map(len, waveforms.values())) / RATE
    for name, waveform in waveforms.items():
        (FOLDER / f"{name}.webp").write_bytes(spectrogram(waveform, RATE, seconds=longest))


def run(*arguments: str | Path) -> None:
    """A `uniaudio` command, shown as a person would type it."""
    words = [str(argument) for argument in arguments]
    typer.echo("$ uniaudio " + " ".join(f'"{word}"' if " " in word else word for word in words))
    subprocess.run([sys.executable, "-m", "uniaudio.cli", *words], timeout=300, check=True)


if __name__ == "__main__":
    typer.run(main)
