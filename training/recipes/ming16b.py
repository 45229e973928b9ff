"""The released model: large-scale training, annealing, full fine-tuning (model specification 8.2), and edits (8.5).

Begins with a checkpoint folder in the released layout whose language model is a text model of these sizes,
whose flow head was trained on speech alone, and whose tokenizer has been through its three stages (`mingtok`);
`python -m training.recipes.ming16b_begin` puts them together. It lies with the manifests of all recordings, and
the triplets, in `<work>/data/ming16b`, as `training.stages.on_release` and `training.stages.edit_on_release` say.
What the paper does not tell is marked; the data (about a million hours) is nobody's to ship.

    torchrun --nproc-per-node 8 --nnodes N -m training.train ming16b --work WORK --store s3://bucket/prefix
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
from training.objectives.router_balance import RouterBalanceConfig
from training.recipes.edit import short_edits
from training.stage import Stage
from training.stages.edit_on_release import EditOnReleaseConfig, build_edit_on_release
from training.stages.on_release import OnReleaseConfig, build_on_release

_DEVICES = 256  # not told
_EXPERT_RANKS = 8  # not told
_LATER_STEPS = 50_000  # of annealing and of full fine-tuning; not told
_FADE_STEPS = 5_000  # the layout has no bias of the routers, so it is gone before annealing
LARGE_SCALE = OptimizerConfig(
    learning_rate=1e-4, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.02, warmup_steps=3000, clip_norm=1.0
)
ANNEALING = replace(LARGE_SCALE, learning_rate=1e-5, warmup_steps=0)
FULL = replace(ANNEALING, eps=1e-8)


def ming16b(short: bool = False) -> Recipe:
    """The four runs; `short` takes two steps of each on a few sequences, with whatever model lies there."""
    large, later = (2, 2) if short else (200_000, _LATER_STEPS)
    config = OnReleaseConfig(
        folder="ming16b",
        understanding_positions=5500,
        speech_positions=2000,
        devices=_DEVICES,
        balance=RouterBalanceConfig(fade_from=max(1, large - _FADE_STEPS), fade_steps=_FADE_STEPS),
    )
    if short:
        config = replace(config, devices=1, understanding_positions=100, speech_positions=100)
    settled = replace(config, balance=RouterBalanceConfig(rate=0.0))
    annealing = replace(settled, continues="ming16b-large-scale")
    full = replace(settled, continues="ming16b-annealing", ratio=6, train_semantic=True)
    # Nothing of the edit stage's sizes and rates is told.
    edit = EditOnReleaseConfig(base=replace(settled, continues="ming16b-full"))
    edit = short_edits(edit) if short else edit
    return (
        _speech_run("ming16b-large-scale", config, LARGE_SCALE, large, short),
        _speech_run("ming16b-annealing", annealing, ANNEALING, later, short),
        _speech_run("ming16b-full", full, FULL, later, short),
        _run(
            "ming16b-edit",
            lambda context: build_edit_on_release(context, edit, FULL),
            later,
            short,
            needs=("ming16b-full",),
        ),
    )


def _speech_run(
    name: str, config: OnReleaseConfig, optimizer: OptimizerConfig, num_steps: int, short: bool
) -> TrainConfig:
    needs = () if config.continues is None else (config.continues,)
    return _run(name, lambda context: build_on_release(context, config, optimizer), num_steps, short, needs)


def _run(
    name: str,
    build: Callable[[BuildContext], Stage],
    num_steps: int,
    short: bool,
    needs: tuple[str, ...],
) -> TrainConfig:
    return TrainConfig(
        name=name,
        build=build,
        num_steps=num_steps,
        autocast="bfloat16",
        log_every_steps=1 if short else 20,
        evaluate_every_steps=0 if short else 5000,
        checkpoint=CheckpointConfig(every_steps=2000),
        parallel=ParallelConfig(expert=1 if short else _EXPERT_RANKS, activation_checkpointing=not short),
        needs=needs,
    )
