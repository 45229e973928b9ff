"""How many tokens must change to make one text of another."""

from __future__ import annotations

from collections.abc import Sequence


def edit_distance(found: Sequence[object], expected: Sequence[object]) -> int:
    """Insertions, deletions and substitutions that lead from one to the other."""
    row = list(range(len(expected) + 1))
    for i, item in enumerate(found, 1):
        diagonal, row[0] = row[0], i
        for j, wanted in enumerate(expected, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (item != wanted))
    return row[-1]
