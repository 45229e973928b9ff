"""nano: the model that ships, trained from scratch on synthetic speech by all the stages of the paper.

The tokenizer learns to reconstruct; then to put what is heard into its first channels (*nesting*), so
that the flow head has something it can predict; then its semantic module learns from a small teacher, and
from a frozen language model. The language model learns to listen and to speak, then to edit. At last all
of it goes on with thousands of voices (nano_wide.py).
"""

from __future__ import annotations

import math
from dataclasses import replace

from training.config import BuildContext, OptimizerConfig, Recipe, TrainConfig
from training.data.triplets.corpus import TripletCorpusConfig
from training.objectives.adversarial import Adversary
from training.objectives.discriminators import DiscriminatorConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.recipes.nano_edit import EditRun, build_edit
from training.recipes.nano_language import LanguageRun, build_language
from training.recipes.nano_runs import (
    ACOUSTIC,
    ANNEALING,
    DISTILLATION,
    EDIT,
    FLUENT,
    FULL,
    LARGE_SCALE,
    NESTED,
    NESTED_CONFIG,
    PLAYED,
    POLISHED,
    READER,
    SHORT_STEPS,
    SPEED,
    TEACHER_RUN,
    UNIFIED,
    cosine,
    run,
)
from training.recipes.nano_sizes import NUM_ANCHORED, NUM_CONTENT, TEACHER, TOKENIZER
from training.recipes.nano_wide import wide
from training.stage import Stage
from training.stages.acoustic import AcousticConfig, build_acoustic
from training.stages.align_llm import AlignLlmConfig, build_align_llm
from training.stages.distill import DistillConfig, build_distill
from training.stages.gate import MSE_LIMIT
from training.stages.teacher import TeacherStageConfig, build_teacher
from training.stages.transcript_reader import ReaderConfig
from training.stages.unified import UnifiedConfig, build_unified

_DISTILLING = DistillConfig(
    tokenizer=TOKENIZER, run=DISTILLATION, acoustic_run=NESTED, teacher_run=TEACHER_RUN, teacher=TEACHER
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
        *wide(short),
    )
    return tuple(replace(each, num_steps=SHORT_STEPS) for each in runs) if short else runs


def _acoustic(short: bool) -> TrainConfig:
    config = AcousticConfig(
        batch_size=16, kl_weight=2e-4, anchor_weight=0.5, num_anchored=NUM_ANCHORED, speed=SPEED
    )
    optimizer = OptimizerConfig(
        learning_rate=1.2e-3, betas=(0.9, 0.98), warmup_steps=200, schedule="cosine", final_fraction=0.3
    )
    return run(ACOUSTIC, 9000, short, lambda c: build_acoustic(c, config, TOKENIZER, optimizer))


def _nested(short: bool) -> TrainConfig:
    return run(
        NESTED,
        9000,
        short,
        lambda c: build_acoustic(c, NESTED_CONFIG, TOKENIZER, cosine(8e-4), continues=ACOUSTIC),
        needs=(ACOUSTIC,),
    )


def _polished(short: bool) -> TrainConfig:
    """The decoder against an adversary; the latents stay, so the other stages need not wait for it.

    It is understood no better than before and its PESQ is lower, so it does not ship (docs/nano-log.md).
    """
    config = AcousticConfig(
        batch_size=16,
        num_content=NUM_CONTENT,
        speed=SPEED,
        polish=True,
        adversarial_items=6,
        adversarial_weight=0.5,
    )

    def build(context: BuildContext) -> Stage:
        adversary = Adversary(DiscriminatorConfig())
        return build_acoustic(context, config, TOKENIZER, cosine(4e-4), continues=NESTED, adversary=adversary)

    return run(POLISHED, 3000, short, build, needs=(NESTED,))


def _teacher(short: bool) -> TrainConfig:
    return run(
        TEACHER_RUN,
        1500,
        short,
        lambda c: build_teacher(c, TeacherStageConfig(teacher=TEACHER, feature_noise=1.0), cosine(1e-3)),
    )


def _distillation(short: bool) -> TrainConfig:
    return run(
        DISTILLATION,
        4000,
        short,
        lambda c: build_distill(c, _DISTILLING, cosine(1.5e-3)),
        needs=(NESTED, TEACHER_RUN),
    )


def _reader(short: bool) -> TrainConfig:
    config = AlignLlmConfig(reader=ReaderConfig(unified_dim=TOKENIZER.unified_dim), distillation=_DISTILLING)
    return run(READER, 800, short, lambda c: build_align_llm(c, config, cosine(1.5e-3)), needs=(TEACHER_RUN,))


def _unified(short: bool) -> TrainConfig:
    config = UnifiedConfig(
        tokenizer=TOKENIZER,
        acoustic_run=NESTED,
        distillation_run=DISTILLATION,
        align_run=READER,
        reader=ReaderConfig(unified_dim=TOKENIZER.unified_dim),
        gate_limit=math.inf if short else MSE_LIMIT,
    )
    return run(
        UNIFIED,
        800,
        short,
        lambda c: build_unified(c, config, cosine(5e-4)),
        needs=(NESTED, DISTILLATION, READER),
    )


def _language(short: bool) -> Recipe:
    """Large-scale training, annealing, and full fine-tuning with the semantic module (8.2)."""
    first = LanguageRun(tokenizer_run=NESTED, semantic_run=UNIFIED, balance=RouterBalanceConfig())
    if short:
        first = replace(first, speech_items=16, understanding_items=32, num_transcripts=1, num_sentences=1)
    fading = replace(
        first,
        continues=LARGE_SCALE,
        continuation=0.9,
        balance=RouterBalanceConfig(fade_from=100, fade_steps=500),
    )
    last = replace(
        first,
        continues=ANNEALING,
        continuation=0.9,
        ratio=6,
        train_semantic=True,
        balance=RouterBalanceConfig(rate=0.0),
    )
    constant = OptimizerConfig(learning_rate=1e-3, betas=(0.9, 0.98), warmup_steps=300, clip_norm=1.0)
    return (
        run(LARGE_SCALE, 6000, short, lambda c: build_language(c, first, constant), needs=(NESTED, UNIFIED)),
        run(
            ANNEALING,
            2400,
            short,
            lambda c: build_language(c, fading, cosine(1e-3)),
            needs=(NESTED, UNIFIED, LARGE_SCALE),
        ),
        run(
            FULL,
            300,
            short,
            lambda c: build_language(c, last, cosine(1e-4)),
            needs=(NESTED, UNIFIED, ANNEALING),
        ),
    )


def _edits(short: bool) -> Recipe:
    """Edit fine-tuning, then all tasks together for long, since speech is understood last of all (docs/nano-log.md)."""
    first = EditRun(
        tokenizer_run=NESTED,
        semantic_run=UNIFIED,
        continues=FULL,
        triplets=TripletCorpusConfig(count=6600, held_out_count=110),
    )
    if short:
        first = first.short()
    fluent = replace(
        first,
        continues=EDIT,
        items=16,
        plan_items=24,
        speech_steps=4,
        understanding_items=64,
        speech_items=32,
        factors=PLAYED,
        num_draws=2,  # the flow head takes most of a step, and does not lag behind
        num_sentences=1 if short else 6,
    )
    return (
        run(
            EDIT,
            4600,
            short,
            lambda c: build_edit(c, first, cosine(5e-4)),
            needs=(NESTED, UNIFIED, FULL),
        ),
        run(
            FLUENT,
            9000,
            short,
            lambda c: build_edit(c, fluent, cosine(1e-3)),
            needs=(NESTED, UNIFIED, EDIT),
        ),
    )
