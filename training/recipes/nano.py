"""nano: the model that ships, trained from scratch on synthetic speech by all the stages of the paper.

The tokenizer learns to reconstruct; then to put what is heard into its first channels (*nesting*), so
that the flow head has something it can predict; then its semantic module learns from a small teacher, and
from a frozen language model. The language model learns to listen and to speak, and last to edit.
"""

from __future__ import annotations

import math
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
from training.data.corpus import CorpusConfig, build_corpus
from training.data.triplets.corpus import TripletCorpusConfig
from training.objectives.adversarial import Adversary
from training.objectives.discriminators import DiscriminatorConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.recipes.nano_edit import EditRun, build_edit
from training.recipes.nano_language import LanguageRun, build_language
from training.recipes.nano_sizes import NUM_ANCHORED, NUM_CONTENT, TEACHER, TOKENIZER
from training.stage import Stage
from training.stages.acoustic import AcousticConfig, build_acoustic
from training.stages.align_llm import AlignLlmConfig, build_align_llm
from training.stages.distill import DistillConfig, build_distill
from training.stages.gate import MSE_LIMIT
from training.stages.teacher import TeacherStageConfig, build_teacher
from training.stages.transcript_reader import ReaderConfig
from training.stages.unified import UnifiedConfig, build_unified

CORPUS = CorpusConfig(seed=0, train=16000)
SHORT_CORPUS = CorpusConfig(seed=0, train=60, dev=8, test=8, test_new_voice=8)
_SHORT_STEPS = 4
_SPEED = 1.25  # voices sound up to that much higher or lower than they are
_PLAYED = (0.8, 0.85, 0.9, 0.95, 1.06, 1.12, 1.18, 1.25)
_ACOUSTIC, _NESTED, _POLISHED = "nano-acoustic", "nano-nested", "nano-polished"
_TEACHER, _DISTILLATION, _READER = "nano-teacher", "nano-distillation", "nano-reader"
_UNIFIED, _EDIT, _FLUENT, _STEADY = "nano-unified", "nano-edit", "nano-fluent", "nano-steady"
_LARGE_SCALE, _ANNEALING, _FULL = "nano-large-scale", "nano-annealing", "nano-full"
TOKENIZER_RUN, LAST_LANGUAGE_RUN = _NESTED, _STEADY
_DISTILLING = DistillConfig(
    tokenizer=TOKENIZER, run=_DISTILLATION, acoustic_run=_NESTED, teacher_run=_TEACHER, teacher=TEACHER
)


def nano(short: bool = False) -> Recipe:
    """Every run in order; `short` takes a few steps of each on a small corpus."""
    runs = (
        _acoustic(short),
        _nested(short),
        _polished(short),
        _teacher(short),
        _distillation(short),
        _reader(short),
        _unified(short),
        *_language(short),
        *_edits(short),
    )
    return tuple(replace(run, num_steps=_SHORT_STEPS) for run in runs) if short else runs


def _acoustic(short: bool) -> TrainConfig:
    config = AcousticConfig(
        batch_size=16, kl_weight=2e-4, anchor_weight=0.5, num_anchored=NUM_ANCHORED, speed=_SPEED
    )
    optimizer = OptimizerConfig(
        learning_rate=1.2e-3, betas=(0.9, 0.98), warmup_steps=200, schedule="cosine", final_fraction=0.3
    )
    return _run(_ACOUSTIC, 9000, short, lambda c: build_acoustic(c, config, TOKENIZER, optimizer))


def _nested(short: bool) -> TrainConfig:
    config = AcousticConfig(
        batch_size=16,
        kl_weight=5e-4,
        anchor_weight=0.5,
        num_anchored=NUM_ANCHORED,
        num_content=NUM_CONTENT,
        speed=_SPEED,
    )
    return _run(
        _NESTED,
        9000,
        short,
        lambda c: build_acoustic(c, config, TOKENIZER, _cosine(8e-4), continues=_ACOUSTIC),
        needs=(_ACOUSTIC,),
    )


def _polished(short: bool) -> TrainConfig:
    """The decoder against an adversary; the latents stay, so the other stages need not wait for it.

    It is understood no better than before and its PESQ is lower, so it does not ship (docs/nano-log.md).
    """
    config = AcousticConfig(
        batch_size=16,
        num_content=NUM_CONTENT,
        speed=_SPEED,
        polish=True,
        adversarial_items=6,
        adversarial_weight=0.5,
    )

    def build(context: BuildContext) -> Stage:
        adversary = Adversary(DiscriminatorConfig())
        return build_acoustic(
            context, config, TOKENIZER, _cosine(4e-4), continues=_NESTED, adversary=adversary
        )

    return _run(_POLISHED, 3000, short, build, needs=(_NESTED,))


def _teacher(short: bool) -> TrainConfig:
    return _run(
        _TEACHER,
        1500,
        short,
        lambda c: build_teacher(c, TeacherStageConfig(teacher=TEACHER, feature_noise=1.0), _cosine(1e-3)),
    )


def _distillation(short: bool) -> TrainConfig:
    return _run(
        _DISTILLATION,
        4000,
        short,
        lambda c: build_distill(c, _DISTILLING, _cosine(1.5e-3)),
        needs=(_NESTED, _TEACHER),
    )


def _reader(short: bool) -> TrainConfig:
    config = AlignLlmConfig(reader=ReaderConfig(unified_dim=TOKENIZER.unified_dim), distillation=_DISTILLING)
    return _run(_READER, 800, short, lambda c: build_align_llm(c, config, _cosine(1.5e-3)), needs=(_TEACHER,))


def _unified(short: bool) -> TrainConfig:
    config = UnifiedConfig(
        tokenizer=TOKENIZER,
        acoustic_run=_NESTED,
        distillation_run=_DISTILLATION,
        align_run=_READER,
        reader=ReaderConfig(unified_dim=TOKENIZER.unified_dim),
        gate_limit=math.inf if short else MSE_LIMIT,
    )
    return _run(
        _UNIFIED,
        800,
        short,
        lambda c: build_unified(c, config, _cosine(5e-4)),
        needs=(_NESTED, _DISTILLATION, _READER),
    )


def _language(short: bool) -> Recipe:
    """Large-scale training, annealing, and full fine-tuning with the semantic module (8.2)."""
    first = LanguageRun(tokenizer_run=_NESTED, semantic_run=_UNIFIED, balance=RouterBalanceConfig())
    if short:
        first = replace(first, speech_items=16, understanding_items=32, num_transcripts=1, num_sentences=1)
    fading = replace(
        first,
        continues=_LARGE_SCALE,
        continuation=0.9,
        balance=RouterBalanceConfig(fade_from=100, fade_steps=500),
    )
    last = replace(
        first,
        continues=_ANNEALING,
        continuation=0.9,
        ratio=6,
        train_semantic=True,
        balance=RouterBalanceConfig(rate=0.0),
    )
    constant = OptimizerConfig(learning_rate=1e-3, betas=(0.9, 0.98), warmup_steps=300, clip_norm=1.0)
    return (
        _run(
            _LARGE_SCALE, 6000, short, lambda c: build_language(c, first, constant), needs=(_NESTED, _UNIFIED)
        ),
        _run(
            _ANNEALING,
            2400,
            short,
            lambda c: build_language(c, fading, _cosine(1e-3)),
            needs=(_NESTED, _UNIFIED, _LARGE_SCALE),
        ),
        _run(
            _FULL,
            300,
            short,
            lambda c: build_language(c, last, _cosine(1e-4)),
            needs=(_NESTED, _UNIFIED, _ANNEALING),
        ),
    )


def _edits(short: bool) -> Recipe:
    """Edit fine-tuning, then all tasks together for long, since speech is understood last of all (docs/nano-log.md).

    At the end it reads what it makes itself, as it will when it speaks.
    """
    first = EditRun(
        tokenizer_run=_NESTED,
        semantic_run=_UNIFIED,
        continues=_FULL,
        triplets=TripletCorpusConfig(count=6600, held_out_count=110),
    )
    if short:
        small = TripletCorpusConfig(count=22, held_out_count=11)
        first = replace(
            first,
            triplets=small,
            gate_boundaries=40,
            num_transcripts=1,
            num_sentences=1,
            num_edits=1,
            num_cut=2,
        )
    fluent = replace(
        first,
        continues=_EDIT,
        items=16,
        plan_items=24,
        speech_steps=4,
        understanding_items=64,
        speech_items=32,
        factors=_PLAYED,
        num_draws=2,  # the flow head takes most of a step, and does not lag behind
        num_sentences=1 if short else 6,
    )
    steady = replace(
        fluent, continues=_FLUENT, plan_items=8, speech_steps=6, own_share=1.0, train_semantic=True
    )
    return (
        _run(
            _EDIT,
            4600,
            short,
            lambda c: build_edit(c, first, _cosine(5e-4)),
            needs=(_NESTED, _UNIFIED, _FULL),
        ),
        _run(
            _FLUENT,
            9000,
            short,
            lambda c: build_edit(c, fluent, _cosine(1e-3)),
            needs=(_NESTED, _UNIFIED, _EDIT),
        ),
        _run(
            _STEADY,
            5000,
            short,
            lambda c: build_edit(c, steady, _cosine(5e-4)),
            needs=(_NESTED, _UNIFIED, _FLUENT),
        ),
    )


def _cosine(learning_rate: float) -> OptimizerConfig:
    return OptimizerConfig(
        learning_rate=learning_rate,
        betas=(0.9, 0.98),
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
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
        parallel=ParallelConfig(shard=False),  # so small that gathering weights costs more than it saves
        needs=needs,
    )
