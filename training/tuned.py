"""`python -m training.tuned BASE WEIGHTS OUT`: a run's weights over its base, as a checkpoint folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.release.config import Identity
from training.release.export import export_tuned
from training.release.finished import refusals_told
from training.release.lora import LoraConfig, MergedWeights, save_adapter
from training.weights import StoredWeights
from uniaudio.checkpoint import Checkpoint

_MEGABYTE = 1_000_000


def tuned(
    base: Annotated[Path, typer.Argument(help="The checkpoint folder that was tuned.")],
    weights: Annotated[Path, typer.Argument(help="weights.safetensors of the run.")],
    out: Annotated[Path, typer.Argument(help="Where to write; other files there stay.")],
    name: Annotated[str, typer.Option(help="What the checkpoint says it is.")],
    notice: Annotated[str, typer.Option(help="What every user of it must be told.")] = "",
    edit: Annotated[bool, typer.Option(help="Name it as the variant for edits.")] = False,
    lora: Annotated[
        bool, typer.Option(help="The run trained adapters; they are merged, and saved beside.")
    ] = False,
    shard_megabytes: Annotated[int, typer.Option(min=1, help="Largest file.")] = 5000,
) -> None:
    """Write the tuned checkpoint in the layout of its base."""
    identity = Identity(name=name, notice=notice)
    with refusals_told():
        stored = StoredWeights(weights)
        export_tuned(
            out,
            MergedWeights(stored, LoraConfig()) if lora else stored,
            Checkpoint(base),
            identity.edit_variant() if edit else identity,
            max_shard_bytes=shard_megabytes * _MEGABYTE,
        )
        if lora:
            save_adapter(out / "adapter.safetensors", stored, LoraConfig())


if __name__ == "__main__":
    typer.run(tuned)
