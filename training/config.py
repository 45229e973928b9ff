"""What a run is: frozen values that a recipe returns, saved with every checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from uniaudio.errors import InvalidInputError

if TYPE_CHECKING:
    from training.stage import Stage


Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW and its schedule. `final_fraction` is where a cosine ends, as a part of `learning_rate`.

    `per_module` overrides the rate of modules by name prefix (model specification 8.2).
    """

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.0
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"
    final_fraction: float = 0.0
    clip_norm: float | None = 1.0
    per_module: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise InvalidInputError(f"learning_rate is {self.learning_rate}; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """How often the run is saved and how many checkpoints stay."""

    every_steps: int = 1000
    every_seconds: float = 600.0
    keep_last: int = 2


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """How a run is spread over ranks: all split the batch, and each `expert` of them share the routed experts."""

    expert: int = 1
    shard: bool = True  # FSDP2 over all ranks, in stages of one player; False replicates
    activation_checkpointing: bool = False


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """What a stage is built with: the run's seed, its device, where data and earlier stages lie."""

    seed: int
    device: str
    data: Path
    runs: Path

    def weights_of(self, run: str) -> Path:
        """The exported weights (`weights.safetensors`) of an earlier run of the same work folder."""
        path = self.runs / run / "weights.safetensors"
        if not path.is_file():
            raise InvalidInputError(
                f"{path} is missing: run {run!r} has not finished; train it first (the recipe does, in order)"
            )
        return path


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. `build` makes its stage; everything else is the loop's.

    `autocast` is float32 all the same on a processor that has to emulate bfloat16 (training/loop/precision.py).
    `ema_decay`: the averaged weights are what evaluation and export see. `needs` are the runs whose
    weights `build` reads.
    """

    name: str
    build: Callable[[BuildContext], Stage]
    num_steps: int
    seed: int = 0
    num_microbatches: int = 1
    autocast: Precision = "float32"
    ema_decay: float | None = None
    log_every_steps: int = 20
    evaluate_every_steps: int = 0  # 0: at the end only
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise InvalidInputError(f"num_steps of run {self.name!r} is {self.num_steps}; give at least 1")


Recipe = tuple[TrainConfig, ...]
"""Runs in order; each begins when the ones before have finished."""
