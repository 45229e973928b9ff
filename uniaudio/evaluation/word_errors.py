"""Word errors: counted, aligned, and averaged in both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.packages import need

Kind = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True)
class AlignedToken:
    """One step of an alignment; `reference` is None for an insertion, `hypothesis` for a deletion."""

    kind: Kind
    reference: int | None
    hypothesis: int | None


@dataclass(frozen=True)
class WordErrors:
    """Errors against `num_reference` tokens; adding two gives the counts of both."""

    num_substitutions: int = 0
    num_deletions: int = 0
    num_insertions: int = 0
    num_reference: int = 0

    @property
    def total(self) -> int:
        return self.num_substitutions + self.num_deletions + self.num_insertions

    @property
    def rate(self) -> float:
        """Errors per reference token; can exceed 1. InvalidInputError without reference tokens."""
        if self.num_reference == 0:
            raise InvalidInputError(
                "an error rate needs reference tokens and there are none: give a reference text with words"
            )
        return self.total / self.num_reference

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.num_substitutions + other.num_substitutions,
            self.num_deletions + other.num_deletions,
            self.num_insertions + other.num_insertions,
            self.num_reference + other.num_reference,
        )


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[AlignedToken]:
    """The cheapest alignment of two token lists, unit costs, in order; tokens hold no spaces."""
    if not reference:
        return [AlignedToken("insert", None, index) for index in range(len(hypothesis))]
    output: Any = need("jiwer").process_words([" ".join(reference)], [" ".join(hypothesis)])
    steps: list[AlignedToken] = []
    for chunk in output.alignments[0]:
        references: list[int | None] = list(range(chunk.ref_start_idx, chunk.ref_end_idx))
        hypotheses: list[int | None] = list(range(chunk.hyp_start_idx, chunk.hyp_end_idx))
        length = max(len(references), len(hypotheses))
        references += [None] * (length - len(references))
        hypotheses += [None] * (length - len(hypotheses))
        steps += [AlignedToken(chunk.type, *pair) for pair in zip(references, hypotheses, strict=True)]
    return steps


def count(steps: Sequence[AlignedToken]) -> WordErrors:
    """The errors among the steps of an alignment, against the reference tokens among them."""
    kinds = [step.kind for step in steps]
    return WordErrors(
        kinds.count("substitute"),
        kinds.count("delete"),
        kinds.count("insert"),
        len(kinds) - kinds.count("insert"),
    )


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> WordErrors:
    """Errors of `hypothesis` against `reference`."""
    return count(align(reference, hypothesis))


@dataclass(frozen=True)
class Rates:
    """Two averages of the same items: `macro` of the items' rates, `micro` of all their tokens."""

    macro: float | None
    micro: float | None
    num_items: int


def averages(errors: Sequence[WordErrors]) -> Rates:
    """Both averages; None without any item. Items without reference tokens count in `micro` alone."""
    rates = [item.rate for item in errors if item.num_reference]
    total = sum(errors, WordErrors())
    return Rates(
        macro=sum(rates) / len(rates) if rates else None,
        micro=total.rate if total.num_reference else None,
        num_items=len(errors),
    )
