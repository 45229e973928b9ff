"""Word errors and their two averages."""

from __future__ import annotations

import pytest

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.word_errors import WordErrors, align, averages, count_errors


def errors(reference: str, hypothesis: str) -> WordErrors:
    return count_errors(reference.split(), hypothesis.split())


def test_kinds_of_errors() -> None:
    assert errors("a b c d", "a x c d e") == WordErrors(1, 0, 1, 4)
    assert errors("a b c", "a c") == WordErrors(0, 1, 0, 3)
    assert errors("a b", "a b").rate == 0


def test_an_empty_hypothesis_misses_everything() -> None:
    assert errors("he said so", "").rate == 1.0


def test_macro_is_not_micro() -> None:
    rates = averages([errors("a", "b"), errors("a b c d", "a b c d")])
    assert (rates.macro, rates.micro, rates.num_items) == (0.5, 0.2, 2)


def test_nothing_has_no_average() -> None:
    rates = averages([])
    assert (rates.macro, rates.micro) == (None, None)


def test_without_reference_there_is_no_rate() -> None:
    only_insertions = errors("", "a b")
    assert only_insertions.total == 2
    with pytest.raises(InvalidInputError, match="reference"):
        _ = only_insertions.rate


def test_alignment_keeps_positions() -> None:
    steps = align(["a", "b", "c"], ["a", "x", "b", "c"])
    assert [(step.kind, step.reference, step.hypothesis) for step in steps] == [
        ("equal", 0, 0), ("insert", None, 1), ("equal", 1, 2), ("equal", 2, 3),
    ]  # fmt: skip
