"""The curves of a work folder's runs, for a log of what was tried: one picture a measure, and a table.

`python -m training.experiments.curves OUT` reads `metrics.jsonl` of every run in the work folder.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from training.experiments.command import DEFAULT_WORK, WorkOption
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation import plots

# Measure: how the axis is called, and a limit to draw.
MEASURES: Mapping[str, tuple[str, float | None]] = {
    "pesq_wb": ("PESQ-wb, held-out sentences", None),
    "stoi": ("STOI, held-out sentences", None),
    "distillation_mse": ("distance from the teacher", 0.1),
    "phone_accuracy": ("right phones a frame", None),
    "understanding/wer": ("word error rate of transcripts", 0.05),
    "speech/flow": ("flow loss, held-out", None),
    "speech/own_wer": ("word error rate of speech, heard by the model itself", None),
    "wer_inhouse/plain": ("word error rate of the judge on true recordings", None),
}
_EVALUATION = "evaluation/"


@dataclass(frozen=True)
class RunCurve:
    """What one run left: its steps, its minutes, and every look at it as `(step, measures)`."""

    name: str
    steps: int
    minutes: float
    looks: tuple[tuple[int, Mapping[str, float]], ...]


def read_run(folder: Path) -> RunCurve:
    """The run's curve; InvalidInputError where it wrote no metrics. Pauses over 15 minutes do not count."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        raise InvalidInputError(f"{path} is missing: the run has not begun")
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    times = [row["time"] for row in rows]
    pauses = (later - earlier for earlier, later in itertools.pairwise(times))
    looks = tuple((row["step"], found) for row in rows if (found := _measures(row)))
    return RunCurve(
        folder.name, max(row["step"] for row in rows), sum(p for p in pauses if 0 < p < 900) / 60, looks
    )


def _measures(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        name.removeprefix(_EVALUATION): value for name, value in row.items() if name.startswith(_EVALUATION)
    }


def table(runs: Iterable[RunCurve]) -> str:
    """A Markdown table: each run with its last look."""
    lines = ["| run | steps | minutes | last look |", "|---|---|---|---|"]
    for run in runs:
        last = run.looks[-1][1] if run.looks else {}
        shown = ", ".join(f"{name} {last[name]:.3g}" for name in MEASURES if name in last)
        lines.append(f"| `{run.name}` | {run.steps} | {run.minutes:.0f} | {shown or '-'} |")
    return "\n".join(lines) + "\n"


def pictures(runs: Sequence[RunCurve]) -> dict[str, bytes]:
    """A PNG for every measure that some run was looked at twice for."""
    drawn = {}
    for measure, (title, limit) in MEASURES.items():
        curves = {
            run.name: ([step for step, _ in points], [value for _, value in points])
            for run in runs
            if len(points := [(step, look[measure]) for step, look in run.looks if measure in look]) > 1
        }
        if curves:
            drawn[measure] = plots.lines(curves, x="step", y=title, limit=limit)
    return drawn


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the pictures and of runs.md.")],
    work: WorkOption = DEFAULT_WORK,
    only: Annotated[str, typer.Option(help="Beginning of the names of the runs to show.")] = "",
) -> None:
    """Draw the curves of all runs of a work folder."""
    folders = sorted((work.expanduser() / "runs").glob(f"{only}*/metrics.jsonl"))
    if not folders:
        raise typer.BadParameter(f"{work} holds no runs named {only}*")
    runs = [read_run(path.parent) for path in folders]
    out.mkdir(parents=True, exist_ok=True)
    for measure, picture in pictures(runs).items():
        (out / f"{measure.replace('/', '-')}.png").write_bytes(picture)
    (out / "runs.md").write_text(table(runs), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
