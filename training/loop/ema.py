"""The running average of the trained weights: what evaluation and export see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from training.loop.optimizer import local


class WeightAverage:
    """Exponential moving average in float32 of parameters by name.

    The decay grows with the steps taken, `min(decay, (1 + n) / (10 + n))`, so that the average does not
    remember how the weights began. Sharded parameters have a sharded average.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters, self._decay = parameters, decay
        with torch.no_grad():
            self.weights: dict[str, Tensor] = {
                name: parameter.detach().clone().float() for name, parameter in parameters.items()
            }

    @torch.no_grad()
    def update(self, num_updates: int) -> None:
        """Draws the average towards the weights; `num_updates` were made before this one."""
        decay = min(self._decay, (1 + num_updates) / (10 + num_updates))
        averages = [local(average) for average in self.weights.values()]
        weights = [local(parameter.detach()).float() for parameter in self.parameters.values()]
        torch._foreach_lerp_(averages, weights, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the modules hold the averaged weights; afterwards exactly what they held before."""
        with torch.no_grad():
            held = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
            self._put(self.weights)
            try:
                yield
            finally:
                self._put(held)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            local(parameter.detach()).copy_(local(values[name]))
