"""What the loop asks of a stage of training: models, a batch for every step, and its losses.

Two rules make everything else simple:

- **A batch is a pure function of the run's seed and the step.** Resuming needs no memory of an iterator,
  and a step has the same items and the same noise on any number of ranks.
- **Losses of shares add up.** A step's items are divided among ranks and microbatches; each share returns
  its *part* of the step's loss (normalised by what the whole step counts, known from the plan of the
  batch), so gradients are summed, never averaged, and the division changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import OptimizerConfig

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a step's items that one microbatch of one rank computes."""

    index: int = 0
    count: int = 1

    def of(self, items: Sequence[T]) -> list[T]:
        """This share's items: every `count`-th, so that sorted lengths are spread evenly."""
        return list(items[self.index :: self.count])


@dataclass(frozen=True, kw_only=True)
class StepLoss:
    """A share's part of the loss and of each metric; both add up over the shares of a step.

    `value` is differentiable; `metrics` are detached scalars (a ratio is given as two parts, its
    numerator under `name` and its denominator under `name/count`, and shown as the quotient).
    """

    value: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Player:
    """Parameters with an optimizer of their own; a GAN has two, everything else one.

    Players move in order within a step, each on the same batch. `modules` are what is sharded and
    clipped together; parameters that do not require gradients are left alone.
    """

    name: str
    modules: Mapping[str, nn.Module]
    optimizer: OptimizerConfig


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a look at the model shows: numbers, recordings `(num_samples,)`, and figures as PNG bytes."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    audio: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    figures: Mapping[str, bytes] = field(default_factory=dict)
    sample_rate: int = 16000


class Stage(Protocol):
    """One stage of training. The loop owns optimizers, precision, sharding, checkpoints and time."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Everything whose weights belong to the stage's checkpoint, trained or not."""

    @property
    def players(self) -> Sequence[Player]:
        """Who is optimised, in order of play."""

    def batch(self, step: int, share: Share) -> Any:
        """The share's part of the step's batch on the host; a pure function, called from another thread.

        It draws every random number of the step, so the losses draw none.
        """

    def loss(self, player: str, batch: Any, step: int) -> StepLoss:
        """The share's part of the player's loss; runs under the run's autocast.

        Where weights or experts are sharded, every share runs the same modules, even one without items:
        ranks wait for each other inside them. Call modules rather than their methods: a layer's weights are
        gathered while its `forward` runs.
        """

    def after_step(self, step: int) -> Mapping[str, float]:
        """What is done once a step after the optimizers (router biases, monitors); extra metrics."""

    def evaluate(self, step: int) -> Evaluation:
        """A look at the model as it is, on fixed held-out items; called without gradients.

        Rank 0 calls it alone, or, where weights are sharded, every rank together; rank 0's is shown.
        """

    def state(self) -> Mapping[str, Any]:
        """What else must survive a restart (monitors' counts); plain values and tensors."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""


def item_generator(seed: int, step: int, item: int, stream: int = 0) -> np.random.Generator:
    """Randomness of one item of one step, whoever computes it; `stream` separates its uses."""
    return np.random.default_rng([seed, step, item, stream])


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor on the device; mappings, sequences and dataclasses keep their shape."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, list | tuple) and not hasattr(batch, "_fields"):
        return type(batch)(to_device(value, device) for value in batch)
    if hasattr(batch, "__dataclass_fields__"):
        moved = {name: to_device(getattr(batch, name), device) for name in batch.__dataclass_fields__}
        return type(batch)(**moved)
    return batch
