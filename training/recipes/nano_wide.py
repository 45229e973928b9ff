"""The second half of nano's training: every part goes on with thousands of voices.

The first half has 65 voices, which tokenizer and language model learn by heart (docs/nano-log.md). Here the
language model reads what it makes itself, too, as it will when it speaks. It comes first: the tokenizer's own turn
moves the latents, and all that was built on them has to follow.
"""

from __future__ import annotations

from dataclasses import replace

from training.config import BuildContext, Recipe, TrainConfig
from training.data.triplets.corpus import TripletCorpusConfig
from training.recipes.nano_edit import EditRun, build_edit
from training.recipes.nano_language import encoded, trained_tokenizer
from training.recipes.nano_runs import (
    FLUENT,
    NESTED,
    NESTED_CONFIG,
    NUM_DRAWN_VOICES,
    TEACHER_RUN,
    UNIFIED,
    WIDE_CORPUS,
    WIDE_FOLDER,
    cosine,
    run,
)
from training.recipes.nano_sizes import EAR_NET, TEACHER, TOKENIZER
from training.stage import Stage
from training.stages.acoustic import build_acoustic
from training.stages.distill import DistillConfig, build_distill
from training.stages.ear import EarStage, EarStageConfig
from training.stages.teacher import TeacherStageConfig, build_teacher

EAR, STEADY = "nano-ear", "nano-steady"
_TOKENIZER, _LANGUAGE = "nano-wide-tokenizer", "nano-wide-language"
_TEACHER, _STUDENT = "nano-wide-teacher", "nano-wide-student"


def wide(short: bool) -> Recipe:
    """Letter ear and language model; then tokenizer, teacher, student, language model, each from where it was."""
    return (
        _ear(short),
        _steady(short),
        _tokenizer(short),
        _teacher(short),
        _student(short),
        _language(short),
    )


def _ear(short: bool) -> TrainConfig:
    """Letters of latents, by which the speech that the language model makes is chosen."""

    def build(context: BuildContext) -> Stage:
        tokenizer = trained_tokenizer(context, NESTED, UNIFIED)
        train, held_out = (encoded(context, tokenizer, NESTED, split) for split in ("train", "dev"))
        config = EarStageConfig(net=EAR_NET, seed=context.seed)
        return EarStage(config, train, held_out, cosine(3e-3))

    return run(EAR, 5000, short, build, (NESTED, UNIFIED), corpus=WIDE_CORPUS, folder=WIDE_FOLDER)


def _tokenizer(short: bool) -> TrainConfig:
    def build(context: BuildContext) -> Stage:
        return build_acoustic(context, NESTED_CONFIG, TOKENIZER, cosine(6e-4), continues=NESTED)

    return run(_TOKENIZER, 30_000, short, build, (NESTED,), corpus=WIDE_CORPUS, folder=WIDE_FOLDER)


def _teacher(short: bool) -> TrainConfig:
    config = TeacherStageConfig(teacher=TEACHER, feature_noise=1.0)

    def build(context: BuildContext) -> Stage:
        return build_teacher(context, config, cosine(8e-4), continues=TEACHER_RUN)

    return run(_TEACHER, 4000, short, build, (TEACHER_RUN,), corpus=WIDE_CORPUS, folder=WIDE_FOLDER)


def _student(short: bool) -> TrainConfig:
    config = DistillConfig(
        tokenizer=TOKENIZER,
        run=_STUDENT,
        acoustic_run=_TOKENIZER,
        teacher_run=_TEACHER,
        teacher=TEACHER,
        continues=UNIFIED,
    )

    def build(context: BuildContext) -> Stage:
        return build_distill(context, config, cosine(1e-3))

    needs = (_TOKENIZER, _TEACHER, UNIFIED)
    return run(_STUDENT, 5000, short, build, needs, corpus=WIDE_CORPUS, folder=WIDE_FOLDER)


def _steady(short: bool) -> TrainConfig:
    """The language model, on the tokenizer that it knows; its semantic module hears the new voices with it."""
    return _language_run(STEADY, 1400, _practising(NESTED, UNIFIED, FLUENT, short), short)


def _language(short: bool) -> TrainConfig:
    """The same on the wide tokenizer, with its student in the place of the semantic module."""
    wide = replace(_practising(_TOKENIZER, _STUDENT, STEADY, short), new_semantic=True)
    return _language_run(_LANGUAGE, 6000, wide, short)


def _language_run(name: str, num_steps: int, practising: EditRun, short: bool) -> TrainConfig:
    needs = (practising.tokenizer_run, practising.semantic_run, practising.continues)

    def build(context: BuildContext) -> Stage:
        return build_edit(context, practising, cosine(5e-4))

    return run(name, num_steps, short, build, needs, corpus=WIDE_CORPUS, folder=WIDE_FOLDER)


def _practising(tokenizer_run: str, semantic_run: str, continues: str, short: bool) -> EditRun:
    """All tasks, speech most of all, by thousands of voices; what is read is the model's own, in part."""
    practising = EditRun(
        tokenizer_run=tokenizer_run,
        semantic_run=semantic_run,
        continues=continues,
        triplets=TripletCorpusConfig(count=13_200, held_out_count=110, seed=1),
        drawn_voices=NUM_DRAWN_VOICES,
        own_share=1.0,
        train_semantic=True,
        items=8,
        plan_items=4,
        edit_steps=1,
        speech_steps=3,
        understanding_items=32,
        speech_items=16,
        num_draws=2,  # the flow head takes most of a step, and does not lag behind
        num_sentences=6,
    )
    return practising.short() if short else practising
