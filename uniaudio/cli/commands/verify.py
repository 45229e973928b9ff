"""`uniaudio verify`: recorded outputs of a checkpoint against what this code computes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uniaudio.cli import options
from uniaudio.cli.outcome import FAILED, reported, say
from uniaudio.cli.session import print_json, progress
from uniaudio.errors import StartupError

if TYPE_CHECKING:
    from uniaudio.verify import Row, VerifyReport

_NEEDED = ("torch", "safetensors", "tokenizers")


def verify(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder with checkpoint/, audio/ and golden/.", exists=True, file_okay=False
        ),
    ],
    record: Annotated[
        bool,
        typer.Option("--record", help="Write golden/ from what this code computes, instead of comparing."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --record: where to write, instead of DIR itself.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="With --record: seed of recordings and noise.")
    ] = 0,
    json: options.Json = False,
) -> None:
    """Run every recorded golden of a checkpoint and compare, tensor by tensor."""
    with reported(as_json=json):
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise StartupError(
                f"verify runs the model itself, which needs {', '.join(missing)}: install the extra "
                "(pip install 'uniaudio[llm]', or `make run` in the repository)",
                reason="MISSING_PACKAGE",
                value=", ".join(missing),
            )
        if record:
            _record(folder, out, seed, as_json=json)
        else:
            _compare(folder, as_json=json)


def _record(folder: Path, out: Path | None, seed: int, *, as_json: bool) -> None:
    from uniaudio.verify import record

    with progress("recording", quiet=as_json) as report:
        written = record(folder, out, seed=seed, on_golden=lambda name: report(f"recording {name}", None))
    if as_json:
        print_json({"folder": str(written)})
    else:
        say(f"goldens written to {written / 'golden'}")


def _compare(folder: Path, *, as_json: bool) -> None:
    from uniaudio.verify import verify

    report = verify(folder, on_row=None if as_json else _print_row)
    if as_json:
        print_json(_as_dict(report))
    else:
        for note in report.notes:
            say(f"note: {note}")
        typer.echo(report.summary())
    if not report.passed:
        raise typer.Exit(FAILED)


def _print_row(row: Row) -> None:
    """golden, tensor, largest difference, tolerance, verdict; why, where it is bad."""
    difference = "" if row.difference is None else f"{row.difference:.2e}"
    tolerance = "" if row.tolerance is None else f"{row.tolerance:.0e}"
    colour = typer.colors.RED if row.is_bad else typer.colors.GREEN
    verdict = typer.style(row.verdict.value, fg=colour)
    detail = f"  {row.detail}" if row.detail else ""
    typer.echo(f"{row.golden:22} {row.name:34} {difference:>9} {tolerance:>6}  {verdict}{detail}")


def _as_dict(report: VerifyReport) -> dict[str, Any]:
    rows = [
        {
            "golden": row.golden,
            "name": row.name,
            "difference": row.difference,
            "tolerance": row.tolerance,
            "verdict": row.verdict.value,
            "detail": row.detail,
        }
        for row in report.rows
    ]
    return {"passed": report.passed, "notes": list(report.notes), "rows": rows}
