"""Does understanding fall while generation improves? Both are measured on the same looks (8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.monitors.figures import curve, finish, panels
from training.monitors.signatures import REPRESENTATION_DRIFT, Alert, Signature


class DriftWatch:
    """Alarms when understanding has been worse than its best for some looks, and generation better.

    `worse` is how far the understanding error must lie above its best (a part of it), `better` how far the
    generation error below what it was then; `patience` looks in a row must say so. `least` is a difference
    of understanding that never counts, for errors near zero.
    """

    signature: Signature = REPRESENTATION_DRIFT

    def __init__(
        self, *, worse: float = 0.05, better: float = 0.01, least: float = 0.005, patience: int = 2
    ) -> None:
        self.worse, self.better, self.least, self.patience = worse, better, least, patience
        self._steps: list[int] = []
        self._understanding: list[float] = []
        self._generation: list[float] = []

    def add(self, step: int, *, understanding_error: float, generation_error: float) -> None:
        """One look on held-out items: word errors or cross-entropy, and the flow loss; less is better."""
        self._steps.append(step)
        self._understanding.append(understanding_error)
        self._generation.append(generation_error)

    def alert(self) -> Alert | None:
        if len(self._steps) <= self.patience:
            return None
        if not all(self._drifts(index) for index in range(-self.patience, 0)):
            return None
        best = self._best_before(-1)
        evidence = (
            f"since step {self._steps[best]} the understanding error rose from {self._understanding[best]:.4g} "
            f"to {self._understanding[-1]:.4g} while the generation error fell from "
            f"{self._generation[best]:.4g} to {self._generation[-1]:.4g}"
        )
        return Alert(signature=self.signature, step=self._steps[-1], evidence=evidence)

    def metrics(self) -> Mapping[str, float]:
        """Both errors against those of the look at which understanding was best; 0 there."""
        if not self._steps:
            return {}
        best = self._best_before(len(self._steps))
        return {
            "drift/understanding": _change(self._understanding[best], self._understanding[-1]),
            "drift/generation": _change(self._generation[best], self._generation[-1]),
        }

    def figure(self) -> bytes | None:
        if not self._steps:
            return None
        figure, (left,) = panels()
        curve(left, self._steps, self._understanding, "understanding error")
        best = self._best_before(len(self._steps))
        left.axvline(self._steps[best], color="tab:blue", linestyle=":", linewidth=1)
        curve(left.twinx(), self._steps, self._generation, "generation error", "tab:orange")
        return finish(figure, self.signature, self.alert())

    def state(self) -> dict[str, Any]:
        return {
            "steps": list(self._steps),
            "understanding": list(self._understanding),
            "generation": list(self._generation),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._steps = list(state["steps"])
        self._understanding = list(state["understanding"])
        self._generation = list(state["generation"])

    def _drifts(self, index: int) -> bool:
        best = self._best_before(index)
        lowest, now = self._understanding[best], self._understanding[index]
        margin = max(self.worse * lowest, self.least)
        return now - lowest > margin and self._generation[index] < (1 - self.better) * self._generation[best]

    def _best_before(self, end: int) -> int:
        """Where understanding was best among the looks before `end`."""
        earlier = self._understanding[:end]
        return min(range(len(earlier)), key=earlier.__getitem__)


def _change(before: float, now: float) -> float:
    return (now - before) / max(abs(before), 1e-9)
