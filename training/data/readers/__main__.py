"""`python -m training.data.readers CORPUS FOLDER --out FILE`: a corpus's manifest, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from training.data.manifest import ManifestWriter
from training.data.readers import CORPORA, read_corpus
from training.data.readers.collector import Collector
from training.data.statistics import Statistics
from uniaudio.errors import UniaudioError


def main(
    corpus: Annotated[str, typer.Argument(help=f"One of {', '.join(CORPORA)}.")],
    folder: Annotated[Path, typer.Argument(help="The folder that the corpus was unpacked to.")],
    out: Annotated[Path, typer.Option(help="The manifest to write.")] = Path("manifest.jsonl"),
) -> None:
    """Write the manifest of a corpus; of recordings only the headers are read."""
    console = Console(stderr=True)
    try:
        statistics, collector = write_manifest(corpus, folder.resolve(), out, console)
    except UniaudioError as error:
        console.print(error.message, markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    console.print(_contents(statistics))
    for reason, count in collector.skipped.most_common():
        console.print(f"{count} left out: {reason}", soft_wrap=True)
        for example in collector.examples[reason]:
            console.print(f"    {example}", soft_wrap=True, markup=False)
    if not statistics.num_rows:
        console.print(f"{folder}: not one utterance was found", markup=False, soft_wrap=True)
        raise typer.Exit(1)


def write_manifest(corpus: str, folder: Path, out: Path, console: Console) -> tuple[Statistics, Collector]:
    """Reads the corpus and writes its manifest, which appears when it is whole."""
    rows, collector = read_corpus(corpus, folder)
    statistics = Statistics()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ManifestWriter(out) as writer:
        bar = progress.add_task(f"reading {CORPORA[corpus].title}", total=None)
        for row in rows:
            writer.write(row)
            statistics.add(row)
            if statistics.num_rows % 100 == 0:
                hours = f"{statistics.num_rows} utterances, {statistics.hours:.1f} h"
                progress.update(bar, description=f"reading {CORPORA[corpus].title}: {hours}")
    return statistics, collector


def _contents(statistics: Statistics) -> Table:
    table = Table("split", "language", "utterances", "hours")
    for key, count in sorted(statistics.rows_by.items()):
        table.add_row(key[1], key[2], str(count), f"{statistics.seconds_by[key] / 3600:.2f}")
    speakers = f"{len(statistics.speakers)} speakers"
    table.add_row("all", speakers, str(statistics.num_rows), f"{statistics.hours:.2f}")
    return table


if __name__ == "__main__":
    typer.run(main)
