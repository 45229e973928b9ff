"""Edit fine-tuning of a checkpoint in the released layout: what makes an -Edit checkpoint of it.

Put the checkpoint folder, two manifests and `triplets/` into `<work>/data/edit` as `training.stages.on_release` and
`training.stages.edit_on_release` say, train, and write the tuned checkpoint (without `--recordings` the triplets are
of synthetic speakers):

    python -m training.data.triplets --out WORK/data/edit/triplets --recordings WORK/data/edit --count 100000
    python -m training.train edit --work WORK
    python -m training.tuned WORK/data/edit/model WORK/runs/edit/weights.safetensors OUT --name NAME --edit
"""

from __future__ import annotations

from dataclasses import replace

from training.config import Recipe
from training.recipes.sft import OPTIMIZER, sized, tuning_run
from training.stages.edit_evaluation import EditEvaluationConfig
from training.stages.edit_on_release import EditOnReleaseConfig, build_edit_on_release
from training.stages.on_release import OnReleaseConfig

FOLDER = "edit"


def edit(short: bool = False) -> Recipe:
    """One run of all weights but the tokenizer's; `short` takes two steps of few sequences."""
    config = EditOnReleaseConfig(base=OnReleaseConfig(folder=FOLDER))
    chosen = short_edits(config) if short else config
    return (tuning_run("edit", lambda context: build_edit_on_release(context, chosen, OPTIMIZER), short),)


def short_edits(config: EditOnReleaseConfig) -> EditOnReleaseConfig:
    """The same on few sequences, one step of edits first, and with a short look."""
    look = EditEvaluationConfig(num_loss_steps=1, num_edits=1, num_cut=1, num_recordings=1)
    return replace(config, base=sized(config.base, True), edit_positions=200, edit_steps=1, evaluation=look)
