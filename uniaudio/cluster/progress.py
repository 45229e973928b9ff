"""How far a run is, from the lines that training logs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`step` of `num_steps` of one run of the recipe; `left` is the time that remains, in words."""

    run: str
    step: int
    num_steps: int
    left: str = ""


def find_progress(log: str) -> Progress | None:
    """The newest report in the log, or None where there is none yet."""
    return next((found for line in reversed(log.splitlines()) if (found := _progress_of(line))), None)


def _progress_of(line: str) -> Progress | None:
    """What training.telling.progress.LogLines wrote; lines of others and lines that were cut tell nothing."""
    if '"of"' not in line:
        return None
    try:
        said: dict[str, Any] = json.loads(line)
        return Progress(
            run=str(said["run"]), step=int(said["step"]), num_steps=int(said["of"]), left=str(said["left"])
        )
    except (ValueError, KeyError, TypeError):
        return None
