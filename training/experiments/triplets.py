"""A hundred validation triplets, and whether their word times are right: one command, one report.

`python -m training.experiments.triplets --out triplets.html` draws triplets of every kind, aligns their
recordings a second time, and passes where more than 95 % of the word boundaries lie within 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from training.data.boundaries import MIN_BOUNDARIES, AlignmentQuality, measure
from training.data.corpus import Speakers
from training.data.espeak import Speaker
from training.data.triplets.corpus import draw
from training.data.triplets.source import OpenSynthetic
from training.data.triplets.triplet import Kind, Triplet
from training.data.triplets.understanding import is_understood
from training.data.utterance import Utterance
from training.experiments.triplets_report import Validated, Validation, triplets_report

NOT_PASSED = 1


def validate(count: int, seed: int, speaker: Speaker, split: str = "dev") -> Iterator[Validated]:
    """Triplets of a split, one kind after the other, each aligned again."""
    source = OpenSynthetic(speaker)
    for index in range(count):
        triplet, checks, _ = draw(source, split, seed, index)
        yield Validated(
            triplet=triplet,
            checks=checks,
            boundaries=tuple(
                b for spoken in clean_recordings(triplet) for b in measure(spoken, source.second)
            ),
            understood=is_understood(triplet),
        )


def conclude(items: tuple[Validated, ...], needed: int = MIN_BOUNDARIES) -> Validation:
    """The verdict on triplets together."""
    boundaries = tuple(boundary for item in items for boundary in item.boundaries)
    return Validation(items, AlignmentQuality(boundaries, needed))


def clean_recordings(triplet: Triplet) -> list[Utterance]:
    """The recordings whose word times were claimed and not computed: neither noisy nor stretched ones.

    Where words change that is both, joins and all.
    """
    if triplet.kind.changes_words:
        return [triplet.source, triplet.target]
    return [triplet.target if triplet.kind is Kind.DENOISE else triplet.source]


def main(
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("triplets.html"),
    count: Annotated[int, typer.Option(help="Triplets; fewer than a hundred have too few boundaries.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed draws other triplets.")] = 0,
    split: Annotated[str, typer.Option(help="dev, or one of the test splits.")] = "dev",
) -> None:
    """Draw validation triplets, check them, and write a report; status 1 where they do not pass."""
    console = Console()
    with Speakers() as speakers:
        drawn = validate(count, seed, speakers, split)
        items = tuple(track(drawn, "making and checking triplets", total=count, console=console))
    validation = conclude(items)
    triplets_report(validation).write(out)
    verdict = "passed" if validation.passed else "not passed"
    console.print(f"{verdict}: {validation.quality.summary}; see {out}")
    if not validation.passed:
        raise typer.Exit(NOT_PASSED)


if __name__ == "__main__":
    typer.run(main)
