"""Fine-tuning by adapters: the run of `training.recipes.sft` with a small part of its parameters trained.

    python -m training.train lora --work WORK
    python -m training.tuned WORK/data/sft/model WORK/runs/lora/weights.safetensors OUT --name NAME --lora

Tuning all weights gives better results, say the authors of the model; adapters fit smaller machines.
"""

from __future__ import annotations

from training.config import Recipe
from training.recipes.sft import FOLDER, OPTIMIZER, sized, tuning_run
from training.release.lora import LoraConfig
from training.stages.on_release import OnReleaseConfig, build_on_release


def lora(short: bool = False) -> Recipe:
    """One run of adapters with the published rank, scale and dropout; `short` as for `sft`."""
    config = sized(OnReleaseConfig(folder=FOLDER, lora=LoraConfig()), short)
    return (tuning_run("lora", lambda context: build_on_release(context, config, OPTIMIZER), short),)
