"""The gate between distillation and what builds on it: held-out MSE below 0.1, or no start.

The distillation writes what it reached beside its weights; the unified stage reads it and refuses to begin.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from uniaudio.errors import InvalidInputError
from uniaudio.whole_file import write_whole

MSE_LIMIT = 0.1
_FILE = "distillation.json"


class DistillationGateError(InvalidInputError):
    """The semantic module is not yet near enough to its teacher for a stage that builds on it."""

    reason = "DISTILLATION_GATE"


@dataclass(frozen=True, kw_only=True)
class GateRecord:
    """What a distillation reached on held-out speech, at which step, and by which teacher."""

    mse: float
    explained: float
    step: int
    teacher: str


def write_gate(run_folder: Path, record: GateRecord) -> Path:
    """Leaves the record beside the run's weights; the last one counts."""
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / _FILE
    write_whole(path, json.dumps(asdict(record), indent=2) + "\n")
    return path


def read_gate(run_folder: Path) -> GateRecord:
    """What the distillation of that folder reached last; DistillationGateError if it never looked."""
    path = run_folder / _FILE
    if not path.is_file():
        raise DistillationGateError(f"{path} is missing: train the distillation first", path=path)
    try:
        return GateRecord(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise DistillationGateError(
            f"{path} cannot be read ({error}): train the distillation again", path=path
        ) from error


def require_gate(run_folder: Path, limit: float = MSE_LIMIT) -> GateRecord:
    """The record of a distillation that passed; DistillationGateError for one that did not, or is missing."""
    record = read_gate(run_folder)
    if not record.mse < limit:
        raise DistillationGateError(
            f"distillation from {record.teacher!r} reached a held-out MSE of {record.mse:.4f} by step "
            f"{record.step}; below {limit:g} is needed before the unified stage: train it longer, raise the "
            "semantic module's width or lower the KL weight of the acoustic stage",
            value=record.mse,
            limit=limit,
        )
    return record
