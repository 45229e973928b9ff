"""uniaudio.text.distance: how many tokens must change."""

from __future__ import annotations

import pytest

from uniaudio.text.distance import edit_distance


@pytest.mark.parametrize(
    ("found", "expected", "distance"), [("", "abc", 3), ("abc", "axc", 1), ("ab", "b", 1)]
)
def test_edit_distance(found: str, expected: str, distance: int) -> None:
    assert edit_distance(found, expected) == distance
