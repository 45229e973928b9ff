"""What a distillation reached, for a person to judge: the distance over the steps, and features side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from training.run_folder import RunFolder
from training.stages.distill import DistillStage
from training.stages.gate import MSE_LIMIT, GateRecord, read_gate
from uniaudio.evaluation import plots
from uniaudio.evaluation.report import Report

_HELD_OUT, _TRAINED = "evaluation/distillation_mse", "distillation_mse"
_COLOURS = 2.5  # standard deviations that the colours span


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A distillation that has ended, at most `num_steps` long; `seconds` of this command's training."""

    stage: DistillStage
    folder: RunFolder
    num_steps: int
    seconds: float


def distillation_report(experiment: Experiment) -> Report:
    """Verdict, curves, sizes, and one held-out sentence as student and teacher hear it."""
    stage, record = experiment.stage, read_gate(experiment.folder.path)
    report = Report(
        "Semantic distillation",
        "The semantic module reads latents and learns to say what the teacher hears in the waveform. Everything "
        f"else is frozen. The unified stage may begin once the mean squared error on held-out speech is below "
        f"{MSE_LIMIT:g}.",
    )
    report.verdict(record.mse < MSE_LIMIT, _verdict(record))
    curves = {
        "training": _curve(experiment.folder.metrics, _TRAINED),
        "held out": _curve(experiment.folder.metrics, _HELD_OUT),
    }
    report.section("Distance to the teacher")
    report.figure(
        plots.lines(curves, x="step", y="mean squared error", limit=MSE_LIMIT, logarithmic=True),
        "Per coordinate; the teacher's features have a variance of about 1.",
    )
    report.section("One held-out sentence", stage.held_out.corpus.text(0))
    report.figure(
        feature_maps(*stage.example()),
        "Features over time: the teacher's, the student's, and what is between.",
    )
    report.section("What was run").facts(_facts(experiment, record))
    return report


def feature_maps(student: Tensor, teacher: Tensor) -> bytes:
    """Teacher, student and their difference, `(T, dim)` each, below each other."""
    figure, _ = plots.axes(7.0, 6.0)
    figure.clear()
    panels = figure.subplots(3, 1, sharex=True)
    shown = {"teacher": teacher, "student": student, "difference": student - teacher}
    for panel, (name, features) in zip(panels, shown.items(), strict=True):
        panel.imshow(
            features.float().cpu().T.numpy(), aspect="auto", cmap="RdBu_r", vmin=-_COLOURS, vmax=_COLOURS
        )
        panel.set_ylabel(name)
    panels[-1].set_xlabel("frame of 20 ms")
    return plots.render(figure)


def _verdict(record: GateRecord) -> str:
    side = "below" if record.mse < MSE_LIMIT else "not below"
    return (
        f"held-out MSE {record.mse:.4f} at step {record.step}, {side} {MSE_LIMIT:g}; "
        f"{record.explained:.1%} of the teacher's variance is explained"
    )


def _facts(experiment: Experiment, record: GateRecord) -> list[tuple[str, object]]:
    stage = experiment.stage
    semantic = stage.tokenizer.semantic
    trained = sum(p.numel() for p in semantic.parameters() if p.requires_grad)
    return [
        ("teacher", record.teacher),
        ("unified width", stage.tokenizer.unified_dim),
        ("blocks", len(semantic.blocks)),
        ("trained parameters", trained),
        ("utterances for training", len(stage.train.corpus)),
        ("utterances a step", stage.train.batch_size),
        ("steps", f"{record.step} of at most {experiment.num_steps}"),
        ("minutes of training", experiment.seconds / 60),
    ]


def _curve(metrics: Path, name: str) -> tuple[list[float], list[float]]:
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    points = [(float(line["step"]), float(line[name])) for line in lines if name in line]
    return [step for step, _ in points], [value for _, value in points]
