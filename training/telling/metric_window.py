"""Metrics of the steps since the last log, summed as they come and shown as means, quotients and rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

COUNT_SUFFIX = "/count"
RATES = ("items", "audio_seconds")
"""Metrics that say how much was trained on; shown per second."""


@dataclass
class MetricWindow:
    """Sums of metrics by name and the steps that each was seen in; `seconds` is the time of all steps."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    num_steps: int = 0
    seconds: float = 0.0
    _in_this_step: set[str] = field(default_factory=set)

    def add(self, metrics: Mapping[str, Tensor | float]) -> None:
        """Adds one share's parts."""
        for name, value in metrics.items():
            part = torch.as_tensor(value).detach().double()
            held = self.sums.get(name)
            self.sums[name] = part if held is None else held + part
            if name not in self._in_this_step:
                self._in_this_step.add(name)
                self.steps[name] = self.steps.get(name, 0) + 1

    def add_step(self, seconds: float) -> None:
        """A step has ended."""
        self.num_steps += 1
        self.seconds += seconds
        self._in_this_step.clear()

    def take(self) -> MetricSums:
        """What was collected, on the host; the window is empty afterwards."""
        taken = MetricSums(
            sums={name: float(value) for name, value in self.sums.items()},
            steps=dict(self.steps),
            num_steps=self.num_steps,
            seconds=self.seconds,
        )
        self.sums, self.steps, self.num_steps, self.seconds = {}, {}, 0, 0.0
        return taken


@dataclass(frozen=True, kw_only=True)
class MetricSums:
    """A window's content as plain numbers."""

    sums: Mapping[str, float]
    steps: Mapping[str, int]
    num_steps: int
    seconds: float


def shown(parts: Sequence[MetricSums]) -> dict[str, float]:
    """What people read, from the windows of all ranks.

    A name with a `/count` beside it is their quotient, `items` and `audio_seconds` become rates, any
    other is the mean over the steps that reported it. Quotients of nothing are left out.
    """
    names = sorted({name for part in parts for name in part.sums})
    sums = {name: sum(part.sums.get(name, 0.0) for part in parts) for name in names}
    seconds = max(part.seconds for part in parts)
    values: dict[str, float] = {}
    for name in names:
        count = sums.get(name + COUNT_SUFFIX)
        base = name.rpartition("/")[2]
        if name.endswith(COUNT_SUFFIX) and name.removesuffix(COUNT_SUFFIX) in sums:
            continue
        if count is not None:
            if count > 0:
                values[name] = sums[name] / count
        elif base in RATES:
            values[f"{name}_per_second"] = sums[name] / max(seconds, 1e-9)
        else:
            values[name] = sums[name] / max(part.steps.get(name, 0) for part in parts)
    values["steps_per_second"] = max(part.num_steps for part in parts) / max(seconds, 1e-9)
    return values
