"""The second half of nano's training: every part goes on with thousands of voices.

The first half has 65 voices, which tokenizer and language model learn by heart (docs/nano-log.md). At the end
the language model reads what it makes itself, as it will when it speaks.
"""

from __future__ import annotations

from dataclasses import replace

from training.config import BuildContext, Recipe, TrainConfig
from training.data.corpus import CorpusConfig
from training.data.triplets.corpus import TripletCorpusConfig
from training.recipes.nano_edit import EditRun, build_edit
from training.recipes.nano_runs import FLUENT, NESTED, NESTED_CONFIG, TEACHER_RUN, UNIFIED, cosine, run
from training.recipes.nano_sizes import TEACHER, TOKENIZER
from training.stage import Stage
from training.stages.acoustic import build_acoustic
from training.stages.distill import DistillConfig, build_distill
from training.stages.teacher import TeacherStageConfig, build_teacher

WIDE_TOKENIZER, LAST = "nano-wide-tokenizer", "nano-steady"
_TEACHER, _STUDENT, _LANGUAGE = "nano-wide-teacher", "nano-wide-student", "nano-wide-language"
_NUM_VOICES = 4000
_CORPUS = CorpusConfig(seed=1, train=40_000, drawn_voices=_NUM_VOICES)
_FOLDER = "wide"


def wide(short: bool) -> Recipe:
    """Tokenizer, teacher, student and language model, each from where it was."""
    return (_tokenizer(short), _teacher(short), _student(short), *_language(short))


def _tokenizer(short: bool) -> TrainConfig:
    def build(context: BuildContext) -> Stage:
        return build_acoustic(context, NESTED_CONFIG, TOKENIZER, cosine(6e-4), continues=NESTED)

    return run(WIDE_TOKENIZER, 30_000, short, build, (NESTED,), corpus=_CORPUS, folder=_FOLDER)


def _teacher(short: bool) -> TrainConfig:
    config = TeacherStageConfig(teacher=TEACHER, feature_noise=1.0)

    def build(context: BuildContext) -> Stage:
        return build_teacher(context, config, cosine(8e-4), continues=TEACHER_RUN)

    return run(_TEACHER, 4000, short, build, (TEACHER_RUN,), corpus=_CORPUS, folder=_FOLDER)


def _student(short: bool) -> TrainConfig:
    config = DistillConfig(
        tokenizer=TOKENIZER,
        run=_STUDENT,
        acoustic_run=WIDE_TOKENIZER,
        teacher_run=_TEACHER,
        teacher=TEACHER,
        continues=UNIFIED,
    )

    def build(context: BuildContext) -> Stage:
        return build_distill(context, config, cosine(1e-3))

    needs = (WIDE_TOKENIZER, _TEACHER, UNIFIED)
    return run(_STUDENT, 5000, short, build, needs, corpus=_CORPUS, folder=_FOLDER)


def _language(short: bool) -> Recipe:
    first = EditRun(
        tokenizer_run=WIDE_TOKENIZER,
        semantic_run=_STUDENT,
        continues=FLUENT,
        new_semantic=True,
        triplets=TripletCorpusConfig(count=13_200, held_out_count=110, seed=1),
        drawn_voices=_NUM_VOICES,
        items=16,
        plan_items=8,
        speech_steps=6,
        understanding_items=64,
        speech_items=32,
        num_draws=2,  # the flow head takes most of a step, and does not lag behind
        num_sentences=6,
    )
    if short:
        first = first.short()
    last = replace(first, continues=_LANGUAGE, new_semantic=False, own_share=1.0, train_semantic=True)
    tokenizer = (WIDE_TOKENIZER, _STUDENT)
    return (
        run(
            _LANGUAGE,
            6000,
            short,
            lambda c: build_edit(c, first, cosine(1e-3)),
            (*tokenizer, FLUENT),
            corpus=_CORPUS,
            folder=_FOLDER,
        ),
        run(
            LAST,
            6000,
            short,
            lambda c: build_edit(c, last, cosine(7e-4)),
            (*tokenizer, _LANGUAGE),
            corpus=_CORPUS,
            folder=_FOLDER,
        ),
    )
