"""What an hour showed: every sample as CSV, pictures of them, and a table for the page."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.hardware import machine
from tests.marked_page import put_between
from tests.soak.verdict import Trend
from tests.soak.watch import Sample
from uniaudio.evaluation.plots import lines

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_BEGIN, _END = "<!-- table: written by make soak -->", "<!-- end of table -->"
_MIB = 2**20
_NAMES = {"rss": "resident memory", "files": "open files", "threads": "threads", "shm": "shared memory"}
_UNITS = {"rss": (_MIB, "MiB"), "files": (1, ""), "threads": (1, ""), "shm": (_MIB, "MiB")}


def keep(samples: Sequence[Sample], path: Path) -> None:
    """Writes every sample as a row of CSV."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([field.name for field in fields(Sample)])
        rows.writerows(map(astuple, samples))


def draw(samples: Sequence[Sample], folder: Path) -> None:
    """Writes a picture of each measure over time, a curve for each kind of process."""
    folder.mkdir(parents=True, exist_ok=True)
    for measure, (unit, name) in _UNITS.items():
        kinds = sorted({sample.kind for sample in samples if sample.measure == measure})
        curves = {kind: _curve(samples, kind, measure, unit) for kind in kinds}
        picture = lines(curves, x="minutes", y=f"{_NAMES[measure]} {name}".strip())
        (folder / f"soak-{measure}.png").write_bytes(picture)


def table(found: Sequence[Trend], outcomes: Mapping[tuple[str, str], int], seconds: float) -> str:
    """Markdown: what was asked and answered, and what every kind of process took up."""
    rows = [f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, {seconds:g} s of mixed load:", ""]
    rows += ["| request | outcome | number |", "|---|---|---|"]
    rows += [f"| {kind} | {how} | {count} |" for (kind, how), count in sorted(outcomes.items())]
    rows += ["", "| what | of | first, when warm | last | an hour | |", "|---|---|---|---|---|---|"]
    for trend in found:
        unit, name = _UNITS[trend.measure]
        values = [f"{value / unit:.1f} {name}".strip() for value in (trend.first, trend.last, trend.an_hour)]
        told = "flat" if trend.is_flat else "GROWS"
        rows.append(f"| {_NAMES[trend.measure]} | {trend.kind} | {' | '.join(values)} | {told} |")
    return "\n".join(rows)


def put_on_page(told: str, samples: Sequence[Sample]) -> None:
    """Puts a table into docs/soak.md and the pictures beside it."""
    put_between(_DOCS / "soak.md", _BEGIN, _END, told)
    draw(samples, _DOCS / "soak")


def _curve(
    samples: Sequence[Sample], kind: str, measure: str, unit: float
) -> tuple[list[float], list[float]]:
    found = [sample for sample in samples if (sample.kind, sample.measure) == (kind, measure)]
    return [sample.seconds / 60 for sample in found], [sample.value / unit for sample in found]
