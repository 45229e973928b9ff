"""`python -m training.data.triplets --out DIR --count N`: writes a corpus of triplets, or goes on writing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.data.corpus import Speakers
from training.data.triplets.corpus import TripletCorpusConfig, write_corpus


def main(
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    count: Annotated[int, typer.Option(help="Triplets to train on; a twentieth more for each test.")] = 1100,
    seed: Annotated[int, typer.Option(help="Another seed gives other triplets.")] = 0,
    processes: Annotated[int, typer.Option(help="Processes that work at once.")] = 2,
    languages: Annotated[str, typer.Option(help="Languages of instructions: en, zh, or en,zh.")] = "en",
) -> None:
    """Check the word times, then write what is missing of the corpus."""
    config = TripletCorpusConfig(
        count=count, held_out_count=max(11, count // 20), seed=seed, languages=tuple(languages.split(","))
    )
    write_corpus(out, config, Speakers, processes=processes)


if __name__ == "__main__":
    typer.run(main)
