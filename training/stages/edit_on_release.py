"""Edit fine-tuning of a checkpoint folder in the released layout: triplets beside its recordings (8.5).

Besides what `training.stages.on_release` reads, the folder holds

    triplets/         as `python -m training.data.triplets --out` writes them, of synthetic speakers or of recordings
    latents-edits-train/, latents-edits-dev/    made from them once, by the first process
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.config import BuildContext, OptimizerConfig
from training.data.latent_folder import LatentFolder
from training.data.latents import LatentCorpus, encode_edits
from training.data.sequences import DrawConfig
from training.data.triplet_recordings import TripletRecordings
from training.monitors.watched import WatchedLanguage
from training.release.loading import Release
from training.stages.edit import EditConfig, EditStageConfig, EditTask, edit_cycle
from training.stages.edit_evaluation import EditEvaluationConfig
from training.stages.on_release import OnReleaseConfig, fitting, open_ground, sequence_tasks


@dataclass(frozen=True, kw_only=True)
class EditOnReleaseConfig:
    """What is tuned and how large its steps are, as in `OnReleaseConfig` (whose `ratio` has no meaning here).

    `edit_positions` are those of a step of edits, for each device; `edit_steps` such steps stand beside one of
    understanding and one of speech.
    """

    base: OnReleaseConfig
    edit_positions: int = 3000
    edit_steps: int = 2
    edit: EditConfig = field(default_factory=EditConfig)
    evaluation: EditEvaluationConfig = field(default_factory=EditEvaluationConfig)


def build_edit_on_release(
    context: BuildContext, config: EditOnReleaseConfig, optimizer: OptimizerConfig
) -> WatchedLanguage:
    """The watched stage; encodes recordings and triplets first where that has not been done.

    Raises CheckpointError or InvalidInputError for a folder that is not what the module describes.
    """
    release, ground = open_ground(context, config.base)
    folder = context.data / config.base.folder
    train, held_out = (encoded_edits(folder, split, release) for split in ("train", "dev"))
    stage = _stage_config(config, release, ground.train, train, context.seed)
    looks = (config.base.evaluation, config.evaluation)
    return ground.edit_stage((train, held_out), stage, looks, optimizer, context.seed)


def encoded_edits(folder: Path, split: str, release: Release) -> LatentFolder:
    """A split of the triplets as latents; encoded the first time."""
    recordings = TripletRecordings.open(folder / "triplets" / "manifest.jsonl", split)
    latents, patch_size = folder / f"latents-edits-{split}", release.patch_config.patch_size
    return encode_edits(recordings, release.tokenizer, latents, patch_size=patch_size)


def _stage_config(
    config: EditOnReleaseConfig, release: Release, speech: LatentCorpus, edits: LatentFolder, seed: int
) -> EditStageConfig:
    """Turns of the three tasks, with as many sequences as fill the configured positions on average."""
    base, tasks = config.base, sequence_tasks(speech, release, seed)
    edit = EditTask(edits, release.text_tokenizer, seed, config.edit)
    cycle = edit_cycle(
        edits=fitting(edit, config.edit_positions) * base.devices,
        understanding=fitting(tasks.understanding, base.understanding_positions) * base.devices,
        speech=fitting(tasks.speech, base.speech_positions) * base.devices,
        edit_steps=config.edit_steps,
    )
    return EditStageConfig(
        language=base.language,
        draw=DrawConfig(flow=base.flow, patch_size=release.patch_config.patch_size),
        cycle=cycle,
        edit=config.edit,
        understanding=tasks.understanding_config,
        speech=tasks.speech_config,
    )
