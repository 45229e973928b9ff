"""Does S2 crawl because S1 ended too early? Its alignment loss, and how far from the teacher it began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.monitors.figures import curve, finish, panels
from training.monitors.signatures import INCOMPLETE_DISTILLATION, Alert, Signature

GATE = 0.1
"""Mean square error against the teacher below which S2 may begin."""


class DistillationWatch:
    """Alarms when the alignment loss stands still early, and S2 began close to the gate or beyond it.

    `slow` is the fall (a part of the loss) over the last `window` looks that counts as standing still;
    a loss that has fallen by more than half since the start has converged instead. `close` is the part of
    the gate from which on a held-out error counts as incomplete.
    """

    signature: Signature = INCOMPLETE_DISTILLATION

    def __init__(self, *, slow: float = 0.03, window: int = 4, close: float = 0.7) -> None:
        self.slow, self.window, self.close = slow, window, close
        self._steps: list[int] = []
        self._alignment: list[float] = []
        self._distance: list[float] = []

    def add(self, step: int, *, alignment_loss: float, teacher_mse: float) -> None:
        """One look at S2 on held-out items; the first should be before its first step."""
        self._steps.append(step)
        self._alignment.append(alignment_loss)
        self._distance.append(teacher_mse)

    def alert(self) -> Alert | None:
        if len(self._steps) <= self.window or self._distance[0] <= self.close * GATE:
            return None
        recent = 1 - self._alignment[-1] / self._alignment[-1 - self.window]
        overall = 1 - self._alignment[-1] / self._alignment[0]
        if recent > self.slow or overall > 0.5:
            return None
        evidence = (
            f"the alignment loss fell by {recent:.1%} over the last {self.window} looks (from "
            f"{self._alignment[0]:.4g} at first to {self._alignment[-1]:.4g}), and S2 began at a held-out MSE of "
            f"{self._distance[0]:.3g} to the teacher, where the gate is {GATE}"
        )
        return Alert(signature=self.signature, step=self._steps[-1], evidence=evidence)

    def metrics(self) -> Mapping[str, float]:
        """The distance to the teacher now, and the fall of the alignment loss over the window."""
        if not self._steps:
            return {}
        back = min(self.window, len(self._steps) - 1)
        return {
            "distillation/teacher_mse": self._distance[-1],
            "distillation/recent_fall": 1 - self._alignment[-1] / self._alignment[-1 - back],
        }

    def figure(self) -> bytes | None:
        if not self._steps:
            return None
        figure, (left, right) = panels(2)
        curve(left, self._steps, self._alignment, "alignment loss")
        curve(right, self._steps, self._distance, "MSE to the teacher", "tab:orange")
        right.axhline(GATE, color="black", linestyle="--", linewidth=1, label=f"gate {GATE}")
        right.legend(fontsize="small")
        return finish(figure, self.signature, self.alert())

    def state(self) -> dict[str, Any]:
        return {
            "steps": list(self._steps),
            "alignment": list(self._alignment),
            "distance": list(self._distance),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._steps = list(state["steps"])
        self._alignment = list(state["alignment"])
        self._distance = list(state["distance"])
