"""What nano's runs have in common: their names, the corpora, how each is trained, saved and looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from training.config import BuildContext, CheckpointConfig, OptimizerConfig, ParallelConfig, TrainConfig
from training.data.corpus import CorpusConfig, build_corpus
from training.recipes.nano_sizes import NUM_ANCHORED, NUM_CONTENT
from training.stage import Stage
from training.stages.acoustic import AcousticConfig

CORPUS = CorpusConfig(seed=0, train=16000)
NUM_DRAWN_VOICES = 4000
WIDE_CORPUS = CorpusConfig(seed=1, train=40_000, drawn_voices=NUM_DRAWN_VOICES)
WIDE_FOLDER = "wide"  # of the work folder's data
SHORT_CORPUS = CorpusConfig(seed=0, train=60, dev=8, test=8, test_new_voice=8)
SHORT_STEPS = 4
SPEED = 1.25  # voices sound up to that much higher or lower than they are
PLAYED = (0.8, 0.85, 0.9, 0.95, 1.06, 1.12, 1.18, 1.25)
ACOUSTIC, NESTED, POLISHED = "nano-acoustic", "nano-nested", "nano-polished"
TEACHER_RUN, DISTILLATION, READER = "nano-teacher", "nano-distillation", "nano-reader"
UNIFIED, EDIT, FLUENT = "nano-unified", "nano-edit", "nano-fluent"
LARGE_SCALE, ANNEALING, FULL = "nano-large-scale", "nano-annealing", "nano-full"
NESTED_CONFIG = AcousticConfig(
    batch_size=16,
    kl_weight=5e-4,
    anchor_weight=0.5,
    num_anchored=NUM_ANCHORED,
    num_content=NUM_CONTENT,
    speed=SPEED,
)


def cosine(learning_rate: float) -> OptimizerConfig:
    """The schedule of nearly every run."""
    return OptimizerConfig(
        learning_rate=learning_rate,
        betas=(0.9, 0.98),
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
    )


def make_corpus(folder: Path, corpus: CorpusConfig, short: bool) -> None:
    """Writes the corpus, in its `short` form a few sentences of it, where it is not there."""
    small = replace(SHORT_CORPUS, drawn_voices=corpus.drawn_voices)
    build_corpus(folder, small if short else corpus, processes=2)


def run(
    name: str,
    num_steps: int,
    short: bool,
    build: Callable[[BuildContext], Stage],
    needs: tuple[str, ...] = (),
    *,
    corpus: CorpusConfig = CORPUS,
    folder: str = "",
) -> TrainConfig:
    """A run on a corpus in a folder of the work folder's data, which is made before it is read."""

    def on_corpus(context: BuildContext) -> Stage:
        placed = replace(context, data=context.data / folder)
        make_corpus(placed.data, corpus, short)
        return build(placed)

    return TrainConfig(
        name=name,
        build=on_corpus,
        num_steps=num_steps,
        autocast="bfloat16",
        ema_decay=None if short else 0.999,
        log_every_steps=2 if short else 50,
        evaluate_every_steps=0 if short else 1000,
        checkpoint=CheckpointConfig(every_steps=1000, every_seconds=300),
        parallel=ParallelConfig(shard=False),  # so small that gathering weights costs more than it saves
        needs=needs,
    )
