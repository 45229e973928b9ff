"""Who judges nano: a recogniser and a speaker encoder that share no weights with it."""

from __future__ import annotations

from dataclasses import replace

from training.config import BuildContext, CheckpointConfig, OptimizerConfig, Recipe, TrainConfig
from training.data.corpus import Corpus, CorpusConfig
from training.recipes.nano_runs import CORPUS, WIDE_CORPUS, WIDE_FOLDER, make_corpus
from training.stages.recognizer import RecognizerConfig, RecognizerStage
from training.stages.speaker import SpeakerConfig, SpeakerStage

RECOGNIZER, SPEAKER = "judge-recognizer", "judge-speaker"


def judges(short: bool = False) -> Recipe:
    """The recogniser on nano's corpus of thousands of voices, the speaker encoder on that of 65.

    Told apart in 800 steps, 65 voices lead to an encoder that knows new ones; 4000 do not (docs/nano-log.md).
    """

    def corpora(
        context: BuildContext, corpus: CorpusConfig = CORPUS, folder: str = ""
    ) -> tuple[Corpus, Corpus]:
        data = context.data / folder
        make_corpus(data, corpus, short)
        return Corpus.open(data, "train"), Corpus.open(data, "dev")

    def recognizer(context: BuildContext) -> RecognizerStage:
        config = RecognizerConfig(seed=context.seed)
        return RecognizerStage(config, *corpora(context, WIDE_CORPUS, WIDE_FOLDER), _optimizer(2e-3))

    def speaker(context: BuildContext) -> SpeakerStage:
        return SpeakerStage(SpeakerConfig(seed=context.seed), *corpora(context), _optimizer(1e-3))

    runs: Recipe = (
        TrainConfig(name=RECOGNIZER, build=recognizer, num_steps=5000, evaluate_every_steps=1000),
        TrainConfig(name=SPEAKER, build=speaker, num_steps=800),
    )
    saved = CheckpointConfig(every_steps=500, every_seconds=300)
    runs = tuple(replace(run, log_every_steps=50, checkpoint=saved) for run in runs)
    return tuple(replace(run, num_steps=3, evaluate_every_steps=0) for run in runs) if short else runs


def _optimizer(learning_rate: float) -> OptimizerConfig:
    return OptimizerConfig(
        learning_rate=learning_rate,
        betas=(0.9, 0.98),
        weight_decay=0.01,
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
    )
