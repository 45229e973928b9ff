"""What a manifest holds, in numbers, counted while its rows go by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from training.data.manifest import Row


@dataclass
class Statistics:
    """Counts over rows; `seconds_by` is keyed by `(corpus, split, language)`."""

    num_rows: int = 0
    seconds: float = 0.0
    num_timed: int = 0  # rows with word times
    shortest_seconds: float = float("inf")
    longest_seconds: float = 0.0
    seconds_by: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rows_by: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    speakers: set[tuple[str, str]] = field(default_factory=set)

    @property
    def hours(self) -> float:
        """Hours of audio in all."""
        return self.seconds / 3600

    def add(self, row: Row) -> None:
        """Counts a row."""
        key = (row.corpus, row.split, row.language)
        self.num_rows += 1
        self.seconds += row.seconds
        self.num_timed += bool(row.words)
        self.shortest_seconds = min(self.shortest_seconds, row.seconds)
        self.longest_seconds = max(self.longest_seconds, row.seconds)
        self.seconds_by[key] += row.seconds  # type: ignore[assignment]  # a Counter adds floats as well
        self.rows_by[key] += 1
        if row.speaker:
            self.speakers.add((row.corpus, row.speaker))
