"""`python -m training.data.triplets --out DIR --count N`: writes a corpus of triplets, or goes on writing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.data.triplets.corpus import SYNTHETIC, TripletCorpusConfig, write_corpus
from training.data.triplets.recorded import Recorded
from training.data.triplets.source import ClosedSource
from training.release.finished import refusals_told


def main(
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    count: Annotated[int, typer.Option(help="Triplets to train on; a twentieth more for each test.")] = 1100,
    seed: Annotated[int, typer.Option(help="Another seed gives other triplets.")] = 0,
    processes: Annotated[int, typer.Option(help="Processes that work at once.")] = 2,
    languages: Annotated[str, typer.Option(help="Languages of instructions: en, zh, or en,zh.")] = "en",
    recordings: Annotated[
        Path | None, typer.Option(help="Folder of train.jsonl and dev.jsonl, whose rows have `words`.")
    ] = None,
    second: Annotated[
        Path | None, typer.Option(help="The same rows, timed by another aligner; else synthesis checks them.")
    ] = None,
) -> None:
    """Check the word times, then write what is missing of the corpus: of synthetic speakers, or of recordings."""
    config = TripletCorpusConfig(
        count=count, held_out_count=max(11, count // 20), seed=seed, languages=tuple(languages.split(","))
    )
    with refusals_told():
        write_corpus(out, config, _source(recordings, second), processes=processes)


def _source(recordings: Path | None, second: Path | None) -> ClosedSource:
    if recordings is None:
        if second is not None:
            raise typer.BadParameter("--second is of recordings: give --recordings too")
        return SYNTHETIC
    source = Recorded(folder=recordings, second=second)
    for split, rows in source.usable().items():
        typer.echo(f"{split}: {rows.told()}", err=True)
    return source


if __name__ == "__main__":
    typer.run(main)
