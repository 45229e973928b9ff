"""Are edits wrong where triplets were cut beside the word? Accuracy by alignment error of the last look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from training.monitors.figures import finish, panels
from training.monitors.signatures import MISALIGNED_TRIPLETS, Alert, Signature
from uniaudio.errors import InvalidInputError

TOLERANCE_SECONDS = 0.020
_BINS_SECONDS = (0.005, 0.010, 0.020, 0.040, 0.080)


class TripletWatch:
    """Alarms when edits of misaligned triplets are right clearly less often than those of aligned ones.

    Clearly: by `gap` or more, by more than two standard errors, with at least `least` edits of each kind.
    """

    signature: Signature = MISALIGNED_TRIPLETS

    def __init__(self, *, gap: float = 0.1, least: int = 20) -> None:
        self.gap, self.least = gap, least
        self._step = 0
        self._errors: list[float] = []
        self._right: list[bool] = []

    def look(self, step: int, boundary_errors_seconds: Sequence[float], right: Sequence[bool]) -> None:
        """Edits of one evaluation: the largest boundary error of each triplet, and whether it came out right.

        Replaces the look before. Raises InvalidInputError if the two differ in length.
        """
        if len(boundary_errors_seconds) != len(right):
            raise InvalidInputError(
                f"{len(boundary_errors_seconds)} boundary errors for {len(right)} edits: give one each"
            )
        self._step = step
        self._errors = [abs(float(error)) for error in boundary_errors_seconds]
        self._right = [bool(value) for value in right]

    def alert(self) -> Alert | None:
        aligned, misaligned = self._split()
        if min(len(aligned), len(misaligned)) < self.least:
            return None
        high, low = _rate(aligned), _rate(misaligned)
        error = math.sqrt(high * (1 - high) / len(aligned) + low * (1 - low) / len(misaligned))
        if high - low < max(self.gap, 2 * error):
            return None
        evidence = (
            f"{low:.0%} of {len(misaligned)} edits are right whose boundaries are off by more than "
            f"{1000 * TOLERANCE_SECONDS:.0f} ms, {high:.0%} of {len(aligned)} others"
        )
        return Alert(signature=self.signature, step=self._step, evidence=evidence)

    def metrics(self) -> Mapping[str, float]:
        """Accuracy of both kinds and the part of misaligned triplets."""
        aligned, misaligned = self._split()
        numbers = {}
        if aligned:
            numbers["triplets/accuracy_aligned"] = _rate(aligned)
        if misaligned:
            numbers["triplets/accuracy_misaligned"] = _rate(misaligned)
        if self._errors:
            numbers["triplets/misaligned"] = len(misaligned) / len(self._errors)
        return numbers

    def figure(self) -> bytes | None:
        if not self._errors:
            return None
        edges = (-1.0, *_BINS_SECONDS, math.inf)
        bins = [
            [ok for error, ok in zip(self._errors, self._right, strict=True) if low < error <= high]
            for low, high in pairwise(edges)
        ]
        names = [f"≤ {1000 * edge:.0f}" for edge in _BINS_SECONDS] + [f"> {1000 * _BINS_SECONDS[-1]:.0f}"]
        figure, (left,) = panels()
        bars = left.bar(names, [_rate(values) if values else 0.0 for values in bins], color="tab:blue")
        left.bar_label(bars, [f"n = {len(values)}" for values in bins], fontsize=8)
        left.axvline(2.5, color="black", linestyle="--", linewidth=1)
        left.set_ylim(0, 1.1)
        left.set_xlabel(
            f"largest boundary error of the triplet, ms (line: {1000 * TOLERANCE_SECONDS:.0f} ms)"
        )
        left.set_ylabel("edits that are right")
        return finish(figure, self.signature, self.alert())

    def state(self) -> dict[str, Any]:
        return {"step": self._step, "errors": list(self._errors), "right": list(self._right)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._step = state["step"]
        self._errors, self._right = list(state["errors"]), list(state["right"])

    def _split(self) -> tuple[list[bool], list[bool]]:
        pairs = list(zip(self._errors, self._right, strict=True))
        aligned = [ok for error, ok in pairs if error <= TOLERANCE_SECONDS]
        return aligned, [ok for error, ok in pairs if error > TOLERANCE_SECONDS]


def _rate(values: Sequence[bool]) -> float:
    return sum(values) / len(values)
