"""What the commands of experiments on small language models share: their runs in order, errors, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.config import TrainConfig
from training.exit_codes import AGAIN
from training.ranks.ranks import joined_ranks
from training.run_folder import RunFolder
from training.train import Place, exit_code_of, train_run
from uniaudio.errors import UniaudioError
from uniaudio.evaluation.report import Report
from uniaudio.runtime.logging import setup_logging
from uniaudio.stack.stop_signals import StopSignals

Curve = tuple[list[float], list[float]]

DEFAULT_WORK = Path("~/.cache/uniaudio/training")
WorkOption = Annotated[Path, typer.Option(help="Folder of data and runs.", envvar="UNIAUDIO_WORK")]
CheckpointOption = Annotated[
    Path | None, typer.Option(help="Whose tokenizer makes the latents.", show_default="models/nano")
]
ShortOption = Annotated[bool, typer.Option(help="A few steps, which show that it works.")]


def run_experiment(
    work: Path,
    prepare: Callable[[], Sequence[TrainConfig]],
    report: Callable[[Place], Report],
    path: Path,
) -> None:
    """Prepares, trains every run that has not finished, and writes the report.

    Ends the process with 3 where the configuration was refused and 75 where it was interrupted; the same
    command then continues.
    """
    place = Place(work=work, store=str(work / "checkpoints"))
    console = Console(stderr=True)
    setup_logging("training")
    try:
        with StopSignals() as stop, joined_ranks() as ranks:
            for run in prepare():
                if not train_run(run, place, ranks, stop, console):
                    console.print("stopped and saved; run the same command again to continue")
                    raise typer.Exit(AGAIN)
        written = report(place).write(path)
    except UniaudioError as error:
        console.print(f"error: {error.message}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(exit_code_of(error)) from None
    console.print(f"report: {written}", highlight=False, soft_wrap=True)


def curve_of(folder: RunFolder, name: str) -> Curve:
    """Steps and values of a metric of a run."""
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    points = [(float(line["step"]), float(line[name])) for line in lines if name in line]
    return [step for step, _ in points], [value for _, value in points]


def last_of(folder: RunFolder, name: str) -> float | None:
    """The last value of a metric; None where it was never logged."""
    values = curve_of(folder, name)[1]
    return values[-1] if values else None


def default_checkpoint() -> Path | None:
    """The model that ships with the repository, where it does."""
    folder = Path(__file__).resolve().parents[2] / "models" / "nano"
    return folder if (folder / "config.json").is_file() else None
