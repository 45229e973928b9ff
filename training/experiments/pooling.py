"""What does pooling cost understanding? One command: the same model with one and with five frames a patch.

    python -m training.experiments.pooling

Both runs learn to transcribe the same recordings in the same order; `training.monitors.pooling` compares
what they make of held-out ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.config import BuildContext, OptimizerConfig, TrainConfig
from training.data.latent_folder import LatentFolder
from training.data.sequences import DrawConfig
from training.data.step_batches import StepBatches
from training.data.tasks import UnderstandingConfig, UnderstandingTask
from training.experiments.command import (
    DEFAULT_WORK,
    CheckpointOption,
    ShortOption,
    WorkOption,
    curve_of,
    default_checkpoint,
    run_experiment,
)
from training.experiments.pooling_look import MEASURE, WORDS, PoolingLook, take_looks
from training.experiments.small_language import Speech, small_modules, speech_for_experiments
from training.monitors.pooling import PoolingWatch
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.speech import SpeechLossConfig
from training.run_folder import RunFolder
from training.stages.language import LanguageConfig, LanguageStage
from training.stages.language_evaluation import LanguageEvaluation, LanguageEvaluationConfig
from training.train import Place
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation import plots
from uniaudio.evaluation.report import Report
from uniaudio.llm.config import PatchConfig

PATCH_SIZES = (1, 5)
_OPTIMIZER = OptimizerConfig(
    learning_rate=1e-3, betas=(0.9, 0.95), weight_decay=0.01, warmup_steps=50, schedule="cosine"
)
_FLOW = FlowMatchingConfig()
_HELD_OUT = {MEASURE: "cross-entropy", WORDS: "word error rate"}
_SHORT_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is run; `sequences` a step."""

    work: Path
    checkpoint: Path | None
    num_steps: int = 3000
    sequences: int = 8
    short: bool = False

    def run(self, patch_size: int) -> str:
        """Name of a run."""
        return f"experiment-pooling-{patch_size}" + ("-short" if self.short else "")


def runs(choice: Choice) -> tuple[TrainConfig, ...]:
    """A run for each patch size, on speech that is made first where it is missing."""
    speech = speech_for_experiments(choice.work, choice.checkpoint, short=choice.short)

    def run(patch_size: int) -> TrainConfig:
        return TrainConfig(
            name=choice.run(patch_size),
            build=lambda context: _stage(context, speech, choice, patch_size),
            num_steps=choice.num_steps,
            evaluate_every_steps=max(1, choice.num_steps // 10),
        )

    return tuple(run(patch_size) for patch_size in PATCH_SIZES)


def _stage(context: BuildContext, speech: Speech, choice: Choice, patch_size: int) -> LanguageStage:
    modules = small_modules(speech, "debug", context, patch_size=patch_size)
    loss = SpeechLossConfig(flow=_FLOW)
    look = LanguageEvaluation(
        modules,
        speech.text,
        speech.held_out,
        _batches(speech.held_out, speech, choice, context.seed, patch_size),
        loss,
        patches=PatchConfig(
            patch_size=patch_size,
            latent_dim=speech.held_out.latent_dim,
            unified_dim=speech.tokenizer.unified_dim,
        ),
        config=LanguageEvaluationConfig(num_sentences=0, num_transcripts=1 if choice.short else 20),
    )
    compared = PoolingLook(look, patch_size, _folders(choice, context.runs))
    batches = _batches(speech.train, speech, choice, context.seed, patch_size)
    return LanguageStage(modules, batches, LanguageConfig(loss=loss), _OPTIMIZER, compared)


def _folders(choice: Choice, runs: Path) -> dict[int, RunFolder]:
    return {size: RunFolder(runs / choice.run(size)) for size in PATCH_SIZES}


def _batches(
    latents: LatentFolder, speech: Speech, choice: Choice, seed: int, patch_size: int
) -> StepBatches:
    task = UnderstandingTask(latents, speech.text, seed, UnderstandingConfig(patch_size=patch_size))
    return StepBatches(
        {"understanding": task},
        [(("understanding", choice.sequences),)],
        seed=seed,
        latent_dim=latents.latent_dim,
        draw=DrawConfig(flow=_FLOW, patch_size=patch_size),
    )


def report(choice: Choice, place: Place) -> Report:
    """Verdict, held-out errors of both runs, and what was run."""
    watch = PoolingWatch(PATCH_SIZES)
    folders = _folders(choice, place.work / "runs")
    take_looks(watch, folders)
    figure = watch.figure()
    if figure is None:
        raise InvalidInputError(f"{folders[1].metrics} has no looks at held-out speech; train again")
    alert = watch.alert()
    page = Report(
        "What pooling costs understanding",
        "The language model reads speech five frames (100 ms) at a time, as the mean of their features. Read one "
        "by one, nothing is averaged away, at five times the positions. Both models saw the same recordings.",
    )
    cost = watch.metrics().get("pooling/cost", 0.0)
    verdict = f"the held-out cross-entropy is {cost:+.1%} with five frames a patch against one"
    if not watch.ready:
        page.text(
            f"No verdict: neither model transcribes yet (word error rates are too high). So far "
            f"{verdict}; train longer."
        )
    else:
        page.verdict(alert is None, verdict if alert is None else f"{verdict}. {alert.text}")
    page.section("Held-out cross-entropy").figure(figure)
    page.section("Everything that was looked at")
    for name, title in _HELD_OUT.items():
        curves = {
            f"patch of {size}": curve_of(folder, f"evaluation/{name}") for size, folder in folders.items()
        }
        page.figure(plots.lines(curves, x="step", y=title))
    rows = [
        (size, *(_last(curve_of(folders[size], f"evaluation/{name}")[1]) for name in _HELD_OUT))
        for size in PATCH_SIZES
    ]
    page.table(("frames a patch", *_HELD_OUT.values()), rows, "At the end.")
    page.section("What was run").facts(
        [
            ("model", "debug size, from random weights"),
            ("latents by", "random weights" if choice.checkpoint is None else str(choice.checkpoint)),
            ("steps", choice.num_steps),
            ("recordings a step", choice.sequences),
            ("learning rate", _OPTIMIZER.learning_rate),
        ],
    )
    return page


def _last(values: list[float]) -> float | None:
    return values[-1] if values else None


def main(
    work: WorkOption = DEFAULT_WORK,
    checkpoint: CheckpointOption = None,
    out: Annotated[
        Path | None, typer.Option("--report", help="The report.", show_default="WORK/reports/pooling.html")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each run.")] = 3000,
    sequences: Annotated[int, typer.Option(min=1, help="Recordings a step.")] = 8,
    short: ShortOption = False,
) -> None:
    """Train a small model to transcribe, with one and with five frames a patch, and report the difference."""
    work = work.expanduser().resolve()
    choice = Choice(
        work=work,
        checkpoint=checkpoint or (None if short else default_checkpoint()),
        num_steps=_SHORT_STEPS if short else steps,
        sequences=1 if short else sequences,
        short=short,
    )
    run_experiment(
        work,
        lambda: runs(choice),
        lambda place: report(choice, place),
        out or work / "reports" / "pooling.html",
    )


if __name__ == "__main__":
    typer.run(main)
