"""Words by their letters: where they are heard, and how surely."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from uniaudio.editing.spelling import Spelling

ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"
SURE = 0.9


def heard(letters: str) -> np.ndarray:
    """A frame a letter, "-" for none, each with 0.9 of the likelihood."""
    columns = ["-", *ALPHABET]
    rest = np.log((1 - SURE) / (len(columns) - 1))
    rows = np.full((len(letters), len(columns)), rest, np.float32)
    for row, letter in zip(rows, letters, strict=True):
        row[columns.index(letter)] = np.log(SURE)
    return rows


def test_what_says_the_words_is_likelier_than_what_does_not() -> None:
    spelling = Spelling("the old boat", ALPHABET)
    right = spelling.judge(heard("-the -old-- bo-at-"), 0, 3, has_ended=True)
    wrong = spelling.judge(heard("-the -eld-- bo-at-"), 0, 3, has_ended=True)
    more = spelling.judge(heard("-the -old-old bo-at-"), 0, 3, has_ended=True)
    assert right is not None
    assert wrong is not None
    assert more is not None
    assert right.likelihood > wrong.likelihood + 2
    assert right.likelihood > more.likelihood + 2
    assert right.end == 18


@pytest.mark.parametrize(
    ("first", "last", "is_hurt"), [(0, 1, False), (1, 2, True), (2, 3, False), (0, 3, True)]
)
def test_words_are_judged_for_themselves(first: int, last: int, is_hurt: bool) -> None:
    spelling = Spelling("the old boat", ALPHABET)
    right = spelling.judge(heard("the--old--boat"), first, last, has_ended=True)
    wrong = spelling.judge(heard("the--xxx--boat"), first, last, has_ended=True)
    assert right is not None
    assert wrong is not None
    assert (wrong.likelihood < right.likelihood - 2) == is_hurt


def test_a_word_that_was_left_out_is_missed_by_its_neighbours() -> None:
    spelling = Spelling("the old boat", ALPHABET)
    whole = spelling.judge(heard("the old boat----"), 1, 2, has_ended=True)
    without = spelling.judge(heard("the boat--------"), 1, 2, has_ended=True)
    assert whole is not None
    assert without is not None
    assert without.likelihood < whole.likelihood - 5


def test_a_recording_that_goes_on_may_stop_anywhere_behind_the_next_word() -> None:
    spelling = Spelling("the old boat", ALPHABET)
    begun = heard("the--old--bo")
    passage = spelling.judge(begun, 0, 2, has_ended=False)
    assert passage is not None
    assert passage.end == 9  # halfway between "d" and "b"
    assert spelling.judge(begun, 0, 3, has_ended=False) is None  # nothing behind "boat" yet
    assert spelling.judge(heard("the"), 0, 3, has_ended=True) is None  # too short for all of it
    assert spelling.judge(heard("")[:0], 0, 1, has_ended=True) is None


def test_the_likelihood_is_the_sum_over_all_ways_of_saying_it() -> None:
    rng = np.random.default_rng(0)
    rows = np.log(rng.dirichlet(np.ones(4), 5)).astype(np.float32)
    spelling = Spelling("aba", "abc")
    passage = spelling.judge(rows, 0, 1, has_ended=True)
    ways = [
        sum(rows[frame, letter] for frame, letter in enumerate(way))
        for way in itertools.product(range(4), repeat=5)
        if [letter for letter, _ in itertools.groupby(way) if letter] == [1, 2, 1]
    ]
    assert passage is not None
    assert passage.likelihood == pytest.approx(np.logaddexp.reduce(ways), abs=1e-5)


def test_double_letters_need_a_pause() -> None:
    spelling = Spelling("aa", ALPHABET)
    apart = spelling.judge(heard("a-a"), 0, 1, has_ended=True)
    together = spelling.judge(heard("aaa"), 0, 1, has_ended=True)
    assert apart is not None
    assert together is not None
    assert apart.likelihood > together.likelihood + 2


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("The old boat.", True),
        ("it's, well, odd", True),
        ("room 12", False),
        ("中文", False),
        ("café", False),
        ("one - two", False),
        ("", False),
        ("...", False),
    ],
)
def test_a_text_is_whole_where_all_of_it_can_be_spelled(text: str, is_whole: bool) -> None:
    assert Spelling(text, ALPHABET).is_whole == is_whole
