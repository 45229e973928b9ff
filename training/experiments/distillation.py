"""Semantic distillation until the held-out MSE is below 0.1: one command, and a report to judge it by.

`python -m training.experiments.distillation [--whisper PATH]`. What it stands on (speech, an acoustic
tokenizer, and without Whisper the small teacher) is trained first, unless it has been.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from training.config import OptimizerConfig, TrainConfig
from training.exit_codes import AGAIN
from training.experiments.command import DEFAULT_WORK, ShortOption, WorkOption
from training.experiments.distillation_report import Experiment, distillation_report
from training.ranks.ranks import Ranks, joined_ranks
from training.recipes.nano import nano
from training.recipes.nano_sizes import TEACHER, TOKENIZER
from training.stages.distill import DistillConfig, build_distill, sized_as_whisper
from training.train import Place, exit_code_of, train_run, train_stage
from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import setup_logging
from uniaudio.stack.stop_signals import StopSignals

NOT_REACHED = 1
_ACOUSTIC_RUN, _TEACHER_RUN = "nano-nested", "nano-teacher"
_OPTIMIZER = OptimizerConfig(
    learning_rate=1e-3, betas=(0.9, 0.98), warmup_steps=100, schedule="cosine", final_fraction=0.05
)
# What a Whisper's blocks already know is kept by the published rate.
_WHISPER_RATE = 1e-4
_SHORT_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Who teaches, for how many steps at most, and whether only to show that it runs."""

    whisper: Path | None = None
    num_steps: int = 4000
    batch_size: int = 16
    short: bool = False

    @property
    def run(self) -> str:
        """Name of the experiment's run; every teacher has its own."""
        return "experiment-distillation" + (f"-{self.whisper.stem}" if self.whisper else "")


def distill_config(choice: Choice) -> DistillConfig:
    """The distillation; a Whisper decides the semantic module's width, depth and heads."""
    sizes = TOKENIZER
    if choice.whisper is not None:
        sizes = sized_as_whisper(sizes, choice.whisper)
    return DistillConfig(
        tokenizer=sizes,
        run=choice.run,
        acoustic_run=_ACOUSTIC_RUN,
        teacher_run=_TEACHER_RUN,
        teacher=TEACHER,
        whisper=None if choice.whisper is None else str(choice.whisper.resolve()),
        batch_size=choice.batch_size,
        num_evaluated=8 if choice.short else 64,
    )


def run_experiment(
    choice: Choice, place: Place, ranks: Ranks, stop: StopSignals, console: Console
) -> Experiment | None:
    """Trains what is missing, then distils until the gate or the last step; None when asked to stop."""
    config = distill_config(choice)
    needed = {_ACOUSTIC_RUN, "nano-acoustic"} | (set() if choice.whisper else {_TEACHER_RUN})
    for run in nano(short=choice.short):
        if run.name in needed and not train_run(run, place, ranks, stop, console):
            return None
    rate = _OPTIMIZER.learning_rate if choice.whisper is None else _WHISPER_RATE
    optimizer = replace(_OPTIMIZER, learning_rate=rate)
    num_steps = _SHORT_STEPS if choice.short else choice.num_steps
    run = TrainConfig(
        name=choice.run,
        build=lambda context: build_distill(context, config, optimizer),
        num_steps=num_steps,
        log_every_steps=max(1, num_steps // 100),
        evaluate_every_steps=max(1, num_steps // 20),
        autocast="bfloat16",
    )
    began = time.monotonic()
    torch.manual_seed(run.seed)
    stage = build_distill(place.context(run.seed, ranks), config, optimizer)
    train_stage(run, stage, place, ranks, lambda: stop.requested or stage.passed, console)
    if stop.requested:
        return None
    return Experiment(
        stage=stage, folder=place.folder(choice.run), num_steps=num_steps, seconds=time.monotonic() - began
    )


def main(
    whisper: Annotated[
        Path | None,
        typer.Option(help="A local Whisper: a .pt file, or a folder of safetensors.", exists=True),
    ] = None,
    work: WorkOption = DEFAULT_WORK,
    report: Annotated[
        Path | None, typer.Option(help="The report.", show_default="WORK/reports/RUN.html")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most.")] = 4000,
    batch_size: Annotated[int, typer.Option(min=1, help="Utterances a step.")] = 16,
    short: ShortOption = False,
) -> None:
    """Distil a teacher into the semantic module until the held-out MSE is below 0.1, and report it.

    Exit codes: 0 reached · 1 not reached · 3 the configuration was refused · 75 interrupted: run it again.
    """
    work = work.expanduser().resolve()
    place = Place(work=work, store=str(work / "checkpoints"))
    choice = Choice(whisper=whisper, num_steps=steps, batch_size=batch_size, short=short)
    console = Console(stderr=True)
    setup_logging("training")
    try:
        with StopSignals() as stop, joined_ranks() as ranks:
            done = run_experiment(choice, place, ranks, stop, console)
    except UniaudioError as error:
        console.print(f"error: {error.message}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(exit_code_of(error)) from None
    if done is None:
        console.print("stopped and saved; run the same command again to continue")
        raise typer.Exit(AGAIN)
    path = distillation_report(done).write(report or work / "reports" / f"{choice.run}.html")
    console.print(f"report: {path}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if done.stage.passed else NOT_REACHED)


if __name__ == "__main__":
    typer.run(main)
