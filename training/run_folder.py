"""What one run leaves in the work folder, and how it is written: whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from uniaudio.whole_file import write_whole


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run: `<work>/runs/<name>/...`."""

    path: Path

    @property
    def weights(self) -> Path:
        """The exported weights, flat: `<module name>.<parameter>`; written when the run has finished."""
        return self.path / "weights.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON object a line for every log and every evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def staging(self) -> Path:
        """Where ranks gather their parts of a checkpoint before the store takes them."""
        return self.path / "staging"

    def resume(self, machine: int) -> Path:
        """Where a machine keeps a checkpoint while its ranks load it; machines may share the work folder."""
        return self.path / f"resume-{machine}"

    def finished_step(self) -> int:
        """The step at which the run finished and exported its weights; 0 when it has not."""
        mark = self.path / "finished.json"
        if not (mark.is_file() and self.weights.is_file()):
            return 0
        return int(json.loads(mark.read_text())["step"])

    def finish(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Writes the weights, then the mark that says so."""
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
        new = self.weights.with_suffix(".new")
        save_file(whole, new, metadata={"step": str(step)})
        _sync(new)
        new.replace(self.weights)
        write_whole(self.path / "finished.json", json.dumps({"step": step}) + "\n")

    def forget_metrics_after(self, step: int) -> None:
        """Drops lines of steps that will be trained again."""
        if not self.metrics.is_file():
            return
        kept = [line for line in self.metrics.read_text().splitlines() if _step_of(line) <= step]
        write_whole(self.metrics, "".join(f"{line}\n" for line in kept))

    def clear(self, folder: Path) -> Path:
        """`folder`, empty; what lay there is gone."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def save_values(path: Path, values: Mapping[str, Any]) -> None:
    """Plain values and tensors as a file that `load_values` reads."""
    torch.save(dict(values), path)


def load_values(path: Path) -> dict[str, Any]:
    """What `save_values` wrote; never runs code that a file brings."""
    values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return values


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # the last line of a killed run may be cut
        return 1 << 62


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
