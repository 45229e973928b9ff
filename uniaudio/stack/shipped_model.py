"""Where nano lies, the model that runs when nobody names one."""

from __future__ import annotations

from pathlib import Path

import uniaudio
from uniaudio.errors import StartupError


def shipped_model() -> Path:
    """Its checkpoint folder, beside the packages of a checkout. Raises StartupError where there is none."""
    folder = Path(uniaudio.__file__).parent.parent / "models/nano"
    if not (folder / "config.json").is_file():
        raise StartupError(
            f"nano, the default model, is not in {folder}; name a checkpoint with --model or UNIAUDIO_MODEL_DIR, or "
            "write one with random weights: python -m uniaudio.random_model DIR",
            value=str(folder),
        )
    return folder
