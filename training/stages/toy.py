"""A stage that is small and real: a mixture of experts learns a curve, alone or against a critic.

It is what the loop is tested with, and a template: everything that the contract asks for is here once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import OptimizerConfig
from training.stage import Evaluation, Player, Share, StepLoss, item_generator
from uniaudio.nn.moe import MixtureOfExperts
from uniaudio.nn.norm import RMSNorm

_HELD_OUT = 1 << 40
"""A step that no run reaches; its items are looked at and never trained on."""


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """Sizes of the model, items of a step, and whether a critic plays against it."""

    dim: int = 16
    num_layers: int = 2
    num_experts: int = 4
    top_k: int = 2
    num_items: int = 12
    points_per_item: int = 6
    learning_rate: float = 3e-3
    has_critic: bool = False


class ToyLayer(nn.Module):
    """A residual mixture of experts; `(N, dim)` to `(N, dim)`."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.dim, 1e-6)
        self.mlp = MixtureOfExperts(
            config.dim,
            2 * config.dim,
            config.num_experts,
            config.top_k,
            1,
            norm_topk_prob=True,
            multi_gate=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.mlp(self.norm(x))
        return out


class ToyModel(nn.Module):
    """Points `(N, 2)` to values `(N, 1)`."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.inward = nn.Linear(2, config.dim)
        self.layers = nn.ModuleList(ToyLayer(config) for _ in range(config.num_layers))
        self.outward = nn.Linear(config.dim, 1)

    def forward(self, points: Tensor) -> Tensor:
        x = self.inward(points)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.outward(x)
        return out


@dataclass(frozen=True)
class ToyBatch:
    """A share's points `(N, 2)` and true values `(N, 1)`; `total` counts the points of the whole step."""

    points: Tensor
    values: Tensor
    total: int


class ToyStage:
    """The model's squared error is half of its loss against a critic, and all of it without."""

    def __init__(self, config: ToyConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self.model = ToyModel(config)
        self.critic = (
            nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 1)) if config.has_critic else None
        )
        self._points_seen = 0

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"model": self.model, **({"critic": self.critic} if self.critic is not None else {})}

    @property
    def players(self) -> Sequence[Player]:
        rates = OptimizerConfig(
            learning_rate=self._config.learning_rate, weight_decay=0.01, warmup_steps=4, schedule="cosine"
        )
        return [
            Player(name=name, modules={name: module}, optimizer=rates)
            for name, module in self.modules.items()
        ]

    def batch(self, step: int, share: Share) -> ToyBatch:
        points = [self._item(step, index) for index in share.of(range(self._config.num_items))]
        stacked = torch.from_numpy(np.concatenate([np.zeros((0, 2), np.float32), *points]))
        return ToyBatch(stacked, curve(stacked), self._config.num_items * self._config.points_per_item)

    def loss(self, player: str, batch: ToyBatch, step: int) -> StepLoss:
        guess = self.model(batch.points)
        if player == "critic":
            return self._critic_loss(batch, guess.detach())
        squares = (guess.float() - batch.values).square().sum()
        value = squares / batch.total
        if self.critic is not None:
            doubt = nn.functional.softplus(-self.critic(torch.cat([batch.points, guess], 1))).sum()
            value = 0.5 * value + 0.5 * doubt / batch.total
        count = squares.new_tensor(len(batch.points))
        return StepLoss(
            value=value, metrics={"squared_error": squares, "squared_error/count": count, "items": count}
        )

    def after_step(self, step: int) -> Mapping[str, float]:
        self._points_seen += self._config.num_items * self._config.points_per_item
        return {"points_seen": float(self._points_seen)}

    def evaluate(self, step: int) -> Evaluation:
        batch = self.batch(_HELD_OUT, Share())
        device = next(self.model.parameters()).device
        guess = self.model(batch.points.to(device)).cpu()
        return Evaluation(metrics={"squared_error": float((guess - batch.values).square().mean())})

    def state(self) -> Mapping[str, Any]:
        return {"points_seen": self._points_seen}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._points_seen = int(state["points_seen"])

    def _critic_loss(self, batch: ToyBatch, guess: Tensor) -> StepLoss:
        assert self.critic is not None  # only then there is a player of that name
        true = self.critic(torch.cat([batch.points, batch.values], 1))
        false = self.critic(torch.cat([batch.points, guess.to(batch.values.dtype)], 1))
        both = nn.functional.softplus(-true).sum() + nn.functional.softplus(false).sum()
        return StepLoss(value=both / batch.total)

    def _item(self, step: int, index: int) -> NDArray[np.float32]:
        generator = item_generator(self._seed, step, index)
        return generator.uniform(-1, 1, (self._config.points_per_item, 2)).astype(np.float32)


def curve(points: Tensor) -> Tensor:
    """What is to be learned: `sin(3 x) * y` as `(N, 1)`."""
    return torch.sin(3 * points[:, :1]) * points[:, 1:]
