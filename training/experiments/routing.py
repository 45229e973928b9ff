"""Is routing stable during pretraining? One command, two runs, and a report to judge it by.

    python -m training.experiments.routing

The same small language model is pretrained twice on the same batches, its experts left to themselves and
balanced by the bias of `training.objectives.router_balance`; `training.monitors.routing` watches both.
With the debug size the bias takes some 300 steps to even out a fresh model; the window needs a thousand
more to forget them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.config import BuildContext, OptimizerConfig, TrainConfig
from training.data.sequences import DrawConfig
from training.data.step_batches import StepBatches, task_cycle
from training.data.tasks import SequenceTask, SpeechTask, UnderstandingTask
from training.experiments.command import (
    DEFAULT_WORK,
    CheckpointOption,
    ShortOption,
    WorkOption,
    curve_of,
    default_checkpoint,
    last_of,
    run_experiment,
)
from training.experiments.small_language import SIZES, Speech, small_modules, speech_for_experiments
from training.monitors.routing import RoutingMonitor
from training.monitors.watched import WatchedLanguage
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig
from training.stages.language import LanguageConfig, LanguageStage
from training.train import Place
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation import plots
from uniaudio.evaluation.report import Report

LIMIT = 0.05
_RATES = {"left alone": 0.0, "balanced": RouterBalanceConfig().rate}
_OPTIMIZER = OptimizerConfig(
    learning_rate=1e-3, betas=(0.9, 0.95), weight_decay=0.01, warmup_steps=50, schedule="constant"
)
_FLOW = FlowMatchingConfig(num_draws=2, patch_fraction=0.5)
_SHORT_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is run; `sequences` of each task a step."""

    work: Path
    checkpoint: Path | None
    size: str = "debug"
    num_steps: int = 4000
    sequences: int = 4
    short: bool = False

    @property
    def window_steps(self) -> int:
        """A thousand steps, or in short runs half of them."""
        return max(20, min(1000, self.num_steps // 20 * 10))

    def run(self, name: str) -> str:
        """Name of a run."""
        ending = "-short" if self.short else ""
        return f"experiment-routing-{self.size}-{name.replace(' ', '-')}{ending}"


def runs(choice: Choice) -> tuple[TrainConfig, ...]:
    """Both runs, on speech that is made first where it is missing."""
    speech = speech_for_experiments(choice.work, choice.checkpoint, short=choice.short)

    def run(name: str, rate: float) -> TrainConfig:
        return TrainConfig(
            name=choice.run(name),
            build=lambda context: _stage(context, speech, choice, rate),
            num_steps=choice.num_steps,
            log_every_steps=max(1, choice.window_steps // 20),
        )

    return tuple(run(name, rate) for name, rate in _RATES.items())


def _stage(context: BuildContext, speech: Speech, choice: Choice, rate: float) -> WatchedLanguage:
    tasks: dict[str, SequenceTask] = {
        "understanding": UnderstandingTask(speech.train, speech.text, context.seed),
        "speech": SpeechTask(speech.train, speech.text, context.seed),
    }
    batches = StepBatches(
        tasks,
        task_cycle(3, understanding=choice.sequences, speech=choice.sequences),
        seed=context.seed,
        latent_dim=speech.train.latent_dim,
        draw=DrawConfig(flow=_FLOW),
    )
    config = LanguageConfig(loss=SpeechLossConfig(flow=_FLOW), balance=RouterBalanceConfig(rate=rate))
    stage = LanguageStage(small_modules(speech, choice.size, context), batches, config, _OPTIMIZER)
    return WatchedLanguage(stage, routing=RoutingMonitor(window_steps=choice.window_steps, limit=LIMIT))


def report(choice: Choice, place: Place) -> Report:
    """Verdict, the variance of both runs, what it cost, and what was run."""
    names = list(_RATES)
    folders = {name: place.folder(choice.run(name)) for name in names}
    variances = {name: curve_of(folders[name], "routing/variance") for name in names}
    last = last_of(folders["balanced"], "routing/variance")
    if last is None:
        raise InvalidInputError(f"{choice.num_steps} steps are fewer than a block of the window; run more")
    page = Report(
        "Routing during pretraining",
        "A mixture of experts is of use while every expert is. The activation of an expert is its share of all "
        "positions times the number of experts: 1 is even. What is watched is its variance over the last "
        f"{choice.window_steps} steps, in the worst layer; above {LIMIT:.0%} the monitor gives alarm.",
    )
    page.verdict(
        last <= LIMIT,
        f"balanced by their bias, the experts end with a variance of {last:.2%}, limit {LIMIT:.0%}",
    )
    page.section("Variance of expert activation, worst layer").figure(
        plots.lines(variances, x="step", y="variance", limit=LIMIT, logarithmic=True)
    )
    page.table(
        ("run", "variance", "of it imbalance", "fluctuation", "text loss", "flow loss"),
        [
            (
                name,
                *(last_of(folders[name], f"routing/{n}") for n in ("variance", "imbalance", "fluctuation")),
                last_of(folders[name], "understanding/text"),
                last_of(folders[name], "speech/flow"),
            )
            for name in names
        ],
        "At the end. Imbalance: how far the experts' mean shares lie apart; fluctuation: how much each changes.",
    )
    page.section("Layers and experts")
    for name in names:
        layers = _layers(folders[name].metrics.read_text())
        curves = {
            f"layer {layer}": curve_of(folders[name], f"routing/variance/layer_{layer}")
            for layer in range(layers)
        }
        page.figure(
            plots.lines(curves, x="step", y="variance", limit=LIMIT, logarithmic=True), f"Experts {name}."
        )
    page.section("Does balance cost anything?", "Training losses of both runs, on the same batches.")
    for title, metric in (
        ("cross-entropy of transcripts", "understanding/text"),
        ("flow loss", "speech/flow"),
    ):
        page.figure(plots.lines({name: curve_of(folders[name], metric) for name in names}, x="step", y=title))
    page.section("What was run").facts(_facts(choice))
    return page


def _layers(metrics: str) -> int:
    layer = 0
    while f"routing/variance/layer_{layer}" in metrics:
        layer += 1
    return layer


def _facts(choice: Choice) -> list[tuple[str, object]]:
    checkpoint = "random weights" if choice.checkpoint is None else str(choice.checkpoint)
    return [
        ("model", f"{choice.size} size, from random weights"),
        ("latents by", checkpoint),
        ("steps", choice.num_steps),
        ("sequences a step", choice.sequences),
        ("steps of speech for one of understanding", 3),
        ("rate of the balancing bias", _RATES["balanced"]),
        ("learning rate", _OPTIMIZER.learning_rate),
    ]


def main(
    work: WorkOption = DEFAULT_WORK,
    checkpoint: CheckpointOption = None,
    out: Annotated[
        Path | None, typer.Option("--report", help="The report.", show_default="WORK/reports/routing.html")
    ] = None,
    size: Annotated[str, typer.Option(help="Of the model: debug or nano.")] = "debug",
    steps: Annotated[int, typer.Option(min=20, help="Steps of each run.")] = 4000,
    sequences: Annotated[int, typer.Option(min=1, help="Sequences a step.")] = 4,
    short: ShortOption = False,
) -> None:
    """Pretrain a small model twice, with and without balanced experts, and report how stable routing is."""
    if size not in SIZES:
        raise typer.BadParameter(f"there is no size {size!r}; there are {', '.join(SIZES)}")
    work = work.expanduser().resolve()
    choice = Choice(
        work=work,
        checkpoint=checkpoint or (None if short else default_checkpoint()),
        size=size,
        num_steps=_SHORT_STEPS if short else steps,
        sequences=1 if short else sequences,
        short=short,
    )
    run_experiment(
        work,
        lambda: runs(choice),
        lambda place: report(choice, place),
        out or work / "reports" / "routing.html",
    )


if __name__ == "__main__":
    typer.run(main)
