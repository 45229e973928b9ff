"""What commands that write checkpoint folders share: weights of finished runs, and how refusals are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from torch import Tensor

from training.run_folder import RunFolder
from training.weights import StoredWeights
from uniaudio.errors import UniaudioError


def finished_weights(runs: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """The weights of these runs by flat name, of a later run where two have one.

    Raises CheckpointError where a run has not finished.
    """
    weights: dict[str, Tensor] = {}
    for name in names:
        stored = StoredWeights(RunFolder(runs / name).weights)
        weights |= {tensor: stored[tensor] for tensor in stored}
    return weights


@contextmanager
def refusals_told() -> Iterator[None]:
    """Ends the command with status 1 and the reason where the product refuses something."""
    try:
        yield
    except UniaudioError as error:
        typer.echo(f"error: {error.message}", err=True)
        raise typer.Exit(1) from error
