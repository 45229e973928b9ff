"""The tokenizer of `mingtok` as a checkpoint folder in the released layout, of a tokenizer alone.

`python -m training.recipes.mingtok_release OUT` writes it from the finished runs of the work folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.experiments.command import DEFAULT_WORK, ShortOption, WorkOption
from training.recipes.mingtok import ACOUSTIC_RUN, UNIFIED_RUN, tokenizer_sizes
from training.release.config import Identity, preprocessor_config, tokenizer_config
from training.release.export import export_model
from training.release.finished import finished_weights, refusals_told

_PATCH_SIZE = 5


def release_mingtok(work: Path, out: Path, *, short: bool = False) -> Path:
    """Writes the checkpoint folder; CheckpointError where a run has not finished."""
    weights = finished_weights(work / "runs", (ACOUSTIC_RUN, UNIFIED_RUN))
    sizes = tokenizer_sizes(work / "data", short=short)
    preprocessor = preprocessor_config(sizes, _PATCH_SIZE)
    return export_model(out, weights, tokenizer_config(sizes), preprocessor, None, Identity(name="mingtok"))


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the checkpoint; a model card in it stays.")],
    work: WorkOption = DEFAULT_WORK,
    short: ShortOption = False,
) -> None:
    """Write the tokenizer from the finished runs of a work folder."""
    with refusals_told():
        typer.echo(f"written: {release_mingtok(work.expanduser(), out, short=short)}")


if __name__ == "__main__":
    typer.run(main)
