"""Fine-tuning a checkpoint in the released layout on recordings of one's own, with the published defaults.

Put the checkpoint folder and two manifests into `<work>/data/sft` as `training.stages.on_release` says,
train, and write the tuned checkpoint:

    python -m training.train sft --work WORK
    python -m training.tuned WORK/data/sft/model WORK/runs/sft/weights.safetensors OUT --name NAME
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from training.config import (
    BuildContext,
    CheckpointConfig,
    OptimizerConfig,
    ParallelConfig,
    Recipe,
    TrainConfig,
)
from training.stage import Stage
from training.stages.on_release import OnReleaseConfig, build_on_release

FOLDER = "sft"
OPTIMIZER = OptimizerConfig(
    learning_rate=1e-5, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.02, warmup_steps=100, clip_norm=1.0
)
_MOST_STEPS = 400_000
_SHORT_STEPS = 2


def sft(short: bool = False) -> Recipe:
    """One run of all weights but the acoustic ones; `short` takes two steps of a few sequences."""
    config = sized(OnReleaseConfig(folder=FOLDER, train_semantic=True), short)
    return (tuning_run("sft", lambda context: build_on_release(context, config, OPTIMIZER), short),)


def sized(config: OnReleaseConfig, short: bool) -> OnReleaseConfig:
    """The configuration as it is, or, where a run is `short`, with few sequences a step."""
    return replace(config, devices=1, speech_positions=200, ratio=1) if short else config


def tuning_run(name: str, build: Callable[[BuildContext], Stage], short: bool) -> TrainConfig:
    """A run with the published defaults; the number of steps is an upper bound, stop it when it is good."""
    return TrainConfig(
        name=name,
        build=build,
        num_steps=_SHORT_STEPS if short else _MOST_STEPS,
        autocast="bfloat16",
        log_every_steps=1 if short else 20,
        evaluate_every_steps=0 if short else 2000,
        checkpoint=CheckpointConfig(every_steps=2000),
        parallel=ParallelConfig(activation_checkpointing=not short),
    )
