"""Which rows of a manifest can be edited, and their words as edits name them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from training.data.alignment import MAX_SECONDS
from training.data.manifest import Manifest, Row
from uniaudio.editing.target import has_ideographs, units_of

_MIN_WORDS = 3


def labels_of(row: Row) -> tuple[str, ...] | None:
    """The row's words in lower case without punctuation; None where they are not the words of its text."""
    parts = [units_of(label) for label, _, _ in row.words]
    if any(len(part) != 1 for part in parts):
        return None
    labels = tuple(part[0] for part in parts)
    return labels if not row.text or units_of(row.text) == list(labels) else None


def why_left_out(row: Row, language: str | None) -> str | None:
    """Why the row cannot be edited, None where it can; `language` is the only one that times can be checked in."""
    labels = labels_of(row)
    if not row.words:
        return "without word times"
    if labels is None:
        return "their words are not those of their text"
    if any(map(has_ideographs, labels)):
        return "written without spaces between words"
    if len(labels) < _MIN_WORDS:
        return f"fewer than {_MIN_WORDS} words"
    if row.seconds > MAX_SECONDS:
        return f"longer than {MAX_SECONDS:g} s"
    if language is not None and row.language != language:
        return f"not {language}, and no second alignment is given"
    return None


@dataclass
class UsableRows:
    """Places in a manifest by speaker (a row of an unknown one stands alone), and why others are left out."""

    by_speaker: dict[str, list[int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    @classmethod
    def among(cls, manifest: Manifest, language: str | None) -> UsableRows:
        """Reads every row once."""
        usable = cls()
        for place, row in enumerate(manifest):
            reason = why_left_out(row, language)
            if reason is None:
                usable.by_speaker.setdefault(row.speaker or f"row {place}", []).append(place)
            else:
                usable.left_out[reason] += 1
        return usable

    def __len__(self) -> int:
        return sum(map(len, self.by_speaker.values()))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Every speaker's places."""
        return ((speaker, place) for speaker, places in self.by_speaker.items() for place in places)

    def told(self) -> str:
        """How many there are, and why others are left out."""
        total = len(self) + self.left_out.total()
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common())
        return f"{len(self)} of {total} recordings can be edited" + (
            f"; left out: {reasons}" if reasons else ""
        )
