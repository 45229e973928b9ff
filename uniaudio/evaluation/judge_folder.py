"""Where a judge of our own lives: `config.json` with its kind and sizes, `model.safetensors` beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import uniaudio
from uniaudio.errors import CheckpointError
from uniaudio.evaluation.mel_net import MelNetConfig

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def shipped_judge(name: str) -> Path | None:
    """The folder of a judge that ships with a checkout, `recognizer` or `speaker`; None where it is not there."""
    folder = Path(uniaudio.__file__).parent.parent / "models/judges" / name
    return folder if (folder / CONFIG).is_file() else None


def read_judge(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and weights; CheckpointError if the folder holds no judge of this kind."""
    from safetensors.torch import load_file

    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is missing: name the folder of a {kind}", path=folder)
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("kind") != kind:
        raise CheckpointError(
            f"{folder} holds a {config.get('kind')!r}, not a {kind}: name another folder", path=folder
        )
    return config, load_file(folder / WEIGHTS)


def write_judge(
    folder: Path, kind: str, net: nn.Module, config: MelNetConfig, described: Mapping[str, Any]
) -> Path:
    """Writes both files; returns the folder."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, folder / WEIGHTS)
    content = json.dumps({"kind": kind, "net": asdict(config), **described}, indent=2)
    (folder / CONFIG).write_text(content + "\n", encoding="utf-8")
    return folder
