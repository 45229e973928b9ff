"""The measured part of nano's model card: `python -m training.recipes.nano_card RESULT CARD`.

Everything between the card's two marks is replaced by what `uniaudio eval synthetic` wrote to result.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.results import unit_of
from uniaudio.whole_file import write_whole

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def measured(result: Mapping[str, Any]) -> str:
    """Markdown: the aims, then every table of a suite's result."""
    parts = [_aims(result["aims"]), *(_table(table) for table in result["tables"])]
    return "\n\n".join("\n".join(lines) for lines in map(list, parts))


def put_measured(card: str, result: Mapping[str, Any]) -> str:
    """The card with what was measured between its marks; InvalidInputError where it has none."""
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InvalidInputError(f"the card has no {BEGIN!r} followed by {END!r}: write both lines into it")
    return f"{before}{BEGIN}\n{measured(result)}\n{END}{after}"


def _aims(aims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("| what | aim | reached | |", "|---|---|---|---|")
    for aim in aims:
        why = f": {aim['reason']}" if aim["reason"] else ""
        yield f"| {aim['what']} | {aim['aim']} | {aim['value']} | {aim['verdict']}{why} |"


def _table(table: Mapping[str, Any]) -> Iterator[str]:
    scoring = f" ({table['scoring']} scoring)" if table["scoring"] else ""
    yield from (f"### {table['title']}{scoring}", "")
    metrics = [name for name in table["metrics"] if any(name in row["values"] for row in table["rows"])]
    yield f"| row | {' | '.join(metrics)} | scored |"
    yield f"|---|{'---|' * len(metrics)}---|"
    for row in table["rows"]:
        if row["label"] == "coverage":
            continue
        values = (unit_of(name).show(row["values"].get(name)) for name in metrics)
        yield f"| {row['label']} | {' | '.join(values)} | {row['num_scored']} of {row['num_expected']} |"
    if table["notes"]:
        yield from ("", *table["notes"])


def main(
    result: Annotated[Path, typer.Argument(help="result.json of `uniaudio eval synthetic`.", exists=True)],
    card: Annotated[Path, typer.Argument(help="The model card.", exists=True)],
) -> None:
    """Put what was measured into the model card."""
    write_whole(card, put_measured(card.read_text(), json.loads(result.read_text())))
    typer.echo(f"written: {card}")


if __name__ == "__main__":
    typer.run(main)
