"""nano: the model that ships, trained from scratch on synthetic speech by all the stages of the paper.

The tokenizer learns to reconstruct; then to put what is heard into its first channels (*nesting*), so
that the flow head has something it can predict; then its semantic module learns from a small teacher, and
from a frozen language model. The language model learns to listen and to speak, and last to edit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from training.config import BuildContext, CheckpointConfig, OptimizerConfig, Recipe, TrainConfig
from training.data.corpus import CorpusConfig, build_corpus
from training.recipes.nano_sizes import NUM_ANCHORED, NUM_CONTENT, TEACHER, TOKENIZER
from training.stage import Stage
from training.stages.acoustic import AcousticConfig, build_acoustic
from training.stages.teacher import TeacherStageConfig, build_teacher

CORPUS = CorpusConfig(seed=0, train=8000)
SHORT_CORPUS = CorpusConfig(seed=0, train=60, dev=8, test=8, test_new_voice=8)
_SHORT_STEPS = 4


def nano(short: bool = False) -> Recipe:
    """Every run in order; `short` takes a few steps of each on a small corpus."""
    runs = (_acoustic(short), _nested(short), _teacher(short))
    return tuple(replace(run, num_steps=_SHORT_STEPS) for run in runs) if short else runs


def _acoustic(short: bool) -> TrainConfig:
    config = AcousticConfig(batch_size=16, kl_weight=2e-4, anchor_weight=0.5, num_anchored=NUM_ANCHORED)
    optimizer = OptimizerConfig(
        learning_rate=1.2e-3, betas=(0.9, 0.98), warmup_steps=200, schedule="cosine", final_fraction=0.3
    )
    return _run("nano-acoustic", 5000, short, lambda c: build_acoustic(c, config, TOKENIZER, optimizer))


def _nested(short: bool) -> TrainConfig:
    config = AcousticConfig(
        batch_size=16,
        kl_weight=5e-4,
        anchor_weight=0.5,
        num_anchored=NUM_ANCHORED,
        num_content=NUM_CONTENT,
    )
    optimizer = OptimizerConfig(
        learning_rate=8e-4, betas=(0.9, 0.98), warmup_steps=100, schedule="cosine", final_fraction=0.02
    )
    return _run(
        "nano-nested",
        5000,
        short,
        lambda c: build_acoustic(c, config, TOKENIZER, optimizer, continues="nano-acoustic"),
        needs=("nano-acoustic",),
    )


def _teacher(short: bool) -> TrainConfig:
    optimizer = OptimizerConfig(
        learning_rate=1e-3, betas=(0.9, 0.98), warmup_steps=100, schedule="cosine", final_fraction=0.02
    )
    return _run(
        "nano-teacher",
        1500,
        short,
        lambda c: build_teacher(c, TeacherStageConfig(teacher=TEACHER), optimizer),
    )


def _run(
    name: str,
    num_steps: int,
    short: bool,
    build: Callable[[BuildContext], Stage],
    needs: tuple[str, ...] = (),
) -> TrainConfig:
    def on_corpus(context: BuildContext) -> Stage:
        build_corpus(context.data, SHORT_CORPUS if short else CORPUS, processes=2)
        return build(context)

    return TrainConfig(
        name=name,
        build=on_corpus,
        num_steps=num_steps,
        autocast="bfloat16",
        ema_decay=None if short else 0.999,
        log_every_steps=2 if short else 50,
        evaluate_every_steps=0 if short else 1000,
        checkpoint=CheckpointConfig(every_steps=1000, every_seconds=300),
        needs=needs,
    )
