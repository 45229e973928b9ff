"""The judges as `uniaudio eval` loads them: `python -m training.recipes.judges_release OUT`.

Their own errors, on recordings that they never heard, are measured and kept beside their weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.data.corpus import Corpus
from training.data.grammar import vocabulary
from training.experiments.command import DEFAULT_WORK, WorkOption
from training.recipes.judges import RECOGNIZER, SPEAKER
from training.recipes.nano_runs import WIDE_FOLDER
from training.release.finished import refusals_told
from training.run_folder import RunFolder
from training.stages.recognizer import RecognizerConfig, export_recognizer
from training.stages.speaker import SpeakerConfig, export_speaker_encoder


def release_judges(work: Path, out: Path, *, num_items: int) -> tuple[Path, Path]:
    """Folders of the recogniser and of the speaker encoder, from the finished runs below `work`."""
    data = work / "data"
    folders = out / "recognizer", out / "speaker"
    export_recognizer(
        RunFolder(work / "runs" / RECOGNIZER).weights,
        folders[0],
        RecognizerConfig().net,
        vocabulary=vocabulary(),
        held_out=Corpus.open(data / WIDE_FOLDER, "dev"),
        about={"run": RECOGNIZER},
        num_items=num_items,
    )
    export_speaker_encoder(
        RunFolder(work / "runs" / SPEAKER).weights,
        folders[1],
        SpeakerConfig().net,
        held_out=Corpus.open(data, "dev"),
        about={"run": SPEAKER},
        num_items=num_items,
    )
    return folders


def main(
    out: Annotated[Path, typer.Argument(help="Folder for both judges.")],
    work: WorkOption = DEFAULT_WORK,
    items: Annotated[
        int, typer.Option(min=1, help="Held-out recordings that their errors are measured on.")
    ] = 200,
) -> None:
    """Write the judges of nano from the finished runs of a work folder."""
    with refusals_told():
        recognizer, speaker = release_judges(work.expanduser(), out, num_items=items)
    typer.echo(f"written: --recognizer {recognizer} --speaker {speaker}")


if __name__ == "__main__":
    typer.run(main)
