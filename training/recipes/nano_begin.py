"""The nano that ships as the runs that it came from, to train on where their work folder is not at hand.

    python -m training.recipes.nano_begin models/nano
    python -m training.train nano --only nano-steady

The weights come back as they ship, rounded to bfloat16; what training alone needs, one linear layer, is drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from training.experiments.command import DEFAULT_WORK, WorkOption
from training.recipes.nano import nano
from training.recipes.nano_language import fresh_modules
from training.recipes.nano_runs import FLUENT, NESTED, UNIFIED
from training.recipes.nano_wide import EAR
from training.release.finished import refusals_told
from training.release.loading import load_release
from training.run_folder import RunFolder
from training.weights import flat_weights
from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.tokenizer.ear import load_ear

_TOKENIZER, _SEMANTIC = ("encoder", "decoder"), ("semantic",)


def begin_nano(release: Path, runs: Path, *, language_run: str = FLUENT) -> tuple[RunFolder, ...]:
    """Writes the weights of the tokenizer's, semantic module's, letter ear's and language model's run below `runs`.

    Raises InvalidInputError, and writes nothing, where one of these runs has been trained or nano has no such run.
    """
    loaded, ear = load_release(release), load_ear(release)
    if ear is None:
        raise CheckpointError(
            f"{release} has no letter ear; name the whole folder of nano's release", path=release
        )
    torch.manual_seed(0)
    language = {**fresh_modules(loaded.tokenizer).named(), **loaded.modules}
    shares: dict[str, Mapping[str, nn.Module]] = {
        NESTED: {name: language.pop(name) for name in _TOKENIZER},
        UNIFIED: {name: language[name] for name in _SEMANTIC},
        EAR: {"ear": ear},
        language_run: language,
    }
    steps = {run.name: run.num_steps for run in nano()}
    folders = tuple(RunFolder(runs / name) for name in shares)
    if language_run not in steps:
        raise InvalidInputError(f"nano has no run {language_run!r}; it has: {', '.join(steps)}")
    if trained := [folder.path for folder in folders if folder.path.exists()]:
        raise InvalidInputError(f"{trained[0]} is there already; name another work folder, or move it away")
    for folder, modules in zip(folders, shares.values(), strict=True):
        folder.path.mkdir(parents=True)
        folder.finish(steps[folder.path.name], flat_weights(modules))
    return folders


def main(
    release: Annotated[Path, typer.Argument(help="Folder of the checkpoint, models/nano.")],
    work: WorkOption = DEFAULT_WORK,
    language_run: Annotated[
        str, typer.Option(help="The run that the language model is to be that of.")
    ] = FLUENT,
) -> None:
    """Write what nano's further training begins with."""
    with refusals_told():
        folders = begin_nano(release, work.expanduser() / "runs", language_run=language_run)
    for folder in folders:
        typer.echo(f"written: {folder.weights}")


if __name__ == "__main__":
    typer.run(main)
