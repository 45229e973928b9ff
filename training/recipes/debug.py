"""Trains a toy in seconds, with every part of the loop at work: two runs, the second against a critic."""

from __future__ import annotations

from training.config import BuildContext, CheckpointConfig, Recipe, TrainConfig
from training.stages.toy import ToyConfig, ToyStage


def debug(short: bool = False) -> Recipe:
    """Two runs of 400 steps; `short` makes it 40."""
    num_steps = 40 if short else 400
    return (_run("toy", ToyConfig(), num_steps), _run("toy-critic", ToyConfig(has_critic=True), num_steps))


def _run(name: str, toy: ToyConfig, num_steps: int) -> TrainConfig:
    def build(context: BuildContext) -> ToyStage:
        return ToyStage(toy, context.seed)

    return TrainConfig(
        name=name,
        build=build,
        num_steps=num_steps,
        num_microbatches=2,
        ema_decay=0.99,
        log_every_steps=10,
        evaluate_every_steps=num_steps // 2,
        checkpoint=CheckpointConfig(every_steps=num_steps // 4),
    )
