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
    right = spelling.likelihood(heard("-the -old-- bo-at-"), 0, 3)
    wrong = spelling.likelihood(heard("-the -eld-- bo-at-"), 0, 3)
    more = spelling.likelihood(heard("-the -old-old bo-at-"), 0, 3)
    assert right is not None
    assert wrong is not None
    assert more is not None
    assert right > wrong + 2
    assert right > more + 2


@pytest.mark.parametrize(
    ("first", "last", "is_hurt"), [(0, 1, False), (1, 2, True), (2, 3, False), (0, 3, True)]
)
def test_words_are_judged_for_themselves(first: int, last: int, is_hurt: bool) -> None:
    spelling = Spelling("the old boat", ALPHABET)
    right = spelling.likelihood(heard("the--old--boat"), first, last)
    wrong = spelling.likelihood(heard("the--xxx--boat"), first, last)
    assert right is not None
    assert wrong is not None
    assert (wrong < right - 2) == is_hurt


def test_a_word_that_was_left_out_is_missed_by_its_neighbours() -> None:
    spelling = Spelling("the old boat", ALPHABET)
    whole = spelling.likelihood(heard("the old boat----"), 1, 2)
    without = spelling.likelihood(heard("the boat--------"), 1, 2)
    assert whole is not None
    assert without is not None
    assert without < whole - 5


def test_what_is_too_short_for_the_text_is_told_apart() -> None:
    spelling = Spelling("the old boat", ALPHABET)
    assert spelling.likelihood(heard("the"), 0, 3) is None
    assert spelling.likelihood(heard("")[:0], 0, 1) is None


def test_the_likelihood_is_the_sum_over_all_ways_of_saying_it() -> None:
    rng = np.random.default_rng(0)
    rows = np.log(rng.dirichlet(np.ones(4), 5)).astype(np.float32)
    spelling = Spelling("aba", "abc")
    passage = spelling.likelihood(rows, 0, 1)
    ways = [
        sum(rows[frame, letter] for frame, letter in enumerate(way))
        for way in itertools.product(range(4), repeat=5)
        if [letter for letter, _ in itertools.groupby(way) if letter] == [1, 2, 1]
    ]
    assert passage is not None
    assert passage == pytest.approx(np.logaddexp.reduce(ways), abs=1e-5)


def test_double_letters_need_a_pause() -> None:
    spelling = Spelling("aa", ALPHABET)
    apart = spelling.likelihood(heard("a-a"), 0, 1)
    together = spelling.likelihood(heard("aaa"), 0, 1)
    assert apart is not None
    assert together is not None
    assert apart > together + 2


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
