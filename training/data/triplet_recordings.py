"""Triplets on the disk as recorded edits, ready to be encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.triplets.manifest import read_rows, read_triplet
from training.data.utterance import Span
from uniaudio.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True)
class RecordedEdit:
    """One triplet, as `encode_edits` takes it; `plan_text` is what the model writes before it speaks.

    `boundary_error_seconds` is how far off its worst cut is, None where nothing was cut; `target_words` are the
    target's words and their times, in samples.
    """

    kind: str
    instruction: str
    plan_text: str
    source: NDArray[np.float32]
    target: NDArray[np.float32]
    source_text: str
    target_text: str
    target_region: tuple[float, float] | None
    boundary_error_seconds: float | None = None
    target_words: tuple[Span, ...] = ()


class TripletRecordings:
    """One split of a triplet corpus; `edit(i)` reads that one's recordings."""

    def __init__(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        self._folder, self._rows = folder, rows

    @classmethod
    def open(cls, manifest: Path | str, split: str) -> TripletRecordings:
        """Raises InvalidInputError where the manifest has nothing of the split."""
        manifest = Path(manifest)
        rows = list(read_rows(manifest))
        chosen = [row for row in rows if row["split"] == split]
        if not chosen:
            known = ", ".join(sorted({row["split"] for row in rows}))
            raise InvalidInputError(f"{manifest} has no triplets of split {split!r}; it has: {known}")
        return cls(manifest.parent, chosen)

    def __len__(self) -> int:
        return len(self._rows)

    def edit(self, index: int) -> RecordedEdit:
        """The edit, its plan in the published form where words change."""
        row = self._rows[index]
        triplet = read_triplet(row, self._folder)
        error_ms = row["checks"]["boundary_max_ms"]
        region, rate = triplet.target_region, triplet.target.sample_rate
        return RecordedEdit(
            kind=triplet.kind.value,
            instruction=triplet.instruction.text,
            plan_text=triplet.reasoning or "",
            source=triplet.source.waveform,
            target=triplet.target.waveform,
            source_text=triplet.source.text,
            target_text=triplet.target.text,
            target_region=None if region is None else (region[0] / rate, region[1] / rate),
            boundary_error_seconds=None if error_ms is None else error_ms / 1000,
            target_words=triplet.target.words,
        )
