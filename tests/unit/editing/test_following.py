"""A text is found in what is expected of each frame; where it does not fit, the likelihood says so."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.editing.voices import FloatArray
from uniaudio.editing.following import by_frame, follow, is_followable

TEXT = "The cat, a dog"
SPOKEN = [(0, 3, 6), (4, 7, 16), (9, 10, 30), (11, 14, 33)]
"""Words as characters from, to, and the frame at which each begins; each letter takes three frames."""


def expected(num_frames: int = 50, sure: float = -0.1, unsure: float = -6.0) -> FloatArray:
    """Log-probabilities of a speaker who says `SPOKEN`."""
    rows = np.full((num_frames, len(TEXT)), unsure, np.float32)
    for first, last, frame in SPOKEN:
        for index in range(first, last):
            start = frame + 3 * (index - first)
            rows[start : start + 3, index] = sure
    return rows


def test_letters_are_found_where_they_are_spoken() -> None:
    followed = follow(expected(), TEXT)
    for first, last, frame in SPOKEN:
        assert list(followed.starts[first:last]) == [frame + 3 * index for index in range(last - first)]
        assert followed.ends[last - 1] == frame + 3 * (last - first)
    assert followed.likelihood == pytest.approx(-0.1)


@pytest.mark.parametrize(("index", "frame"), [(4, 15.5), (9, 27.5), (10, 33.0), (0, 4.0), (14, 44.0)])
def test_a_cut_lies_between_words_and_leaves_the_ends_some_air(index: int, frame: float) -> None:
    cut = follow(expected(), TEXT).cut(index)
    assert cut == pytest.approx(frame, abs=1.0)


def test_a_text_that_is_not_spoken_is_unlikely() -> None:
    assert follow(expected(), TEXT).likelihood > -1.0
    assert follow(np.full((50, len(TEXT)), -3.0, np.float32), TEXT).likelihood < -2.0


def test_more_letters_than_frames_end_all_the_same() -> None:
    followed = follow(np.zeros((4, 20), np.float32), "x" * 20)
    assert followed.num_frames == 4
    assert 0 <= followed.cut(10) <= 4


def test_rows_of_patches_become_rows_of_frames_by_their_middle() -> None:
    # Patches of five frames: without the first s frames the row j stands for frame s + 5 j + 2.
    shifted = [np.array([[shift + 5 * patch + 2] for patch in range(3)], np.float32) for shift in range(5)]
    rows = by_frame(shifted, 20)
    assert rows[:, 0].tolist() == [2, 2, *range(2, 17), 16, 16, 16]


def test_only_letters_and_figures_are_spoken() -> None:
    assert is_followable("a.")
    assert is_followable("7")
    assert not is_followable(" ,.!")
