"""Cut edits are chosen from both ends of their errors, and judged by the words around the cut."""

from __future__ import annotations

import pytest

from tests.unit.training.fake_latents import FakeEdits
from training.stages.edit_verdicts import cut_edits, says_edit


def test_half_are_cut_best_and_half_worst() -> None:
    edits = FakeEdits(size=12)  # 0, 4 and 8 are far off; 2, 6 and 10 are not; the rest were not cut
    assert cut_edits(edits, 4) == [2, 6, 4, 8]
    assert sorted(cut_edits(edits, 48)) == [0, 2, 4, 6, 8, 10]
    assert cut_edits(edits, 0) == []


@pytest.mark.parametrize(
    ("source", "target", "heard", "right"),
    [
        ("she sang", "she sang so", "she sang so", True),
        ("she sang", "she sang so", "we sang so", True),
        ("she sang", "she sang so", "she sang", False),
        ("the old red car stops", "the old car stops", "an old car stops", True),
        ("the old red car stops", "the old car stops", "the old red car stops", False),
        ("the old car stops", "the new bus stops", "The new bus stops now", True),
        ("the old car stops", "the new bus stops", "the new car stops", False),
        ("so so", "so so so", "so so so", True),
        ("he went home", "he went home", "he went home", True),
        ("he went home", "he went home", "he went", False),
        ("he went home", "he went home", "", False),
    ],
)
def test_the_words_at_the_edit_count(source: str, target: str, heard: str, right: bool) -> None:
    assert says_edit(source, target, heard) is right
