"""The flow matching loss: a straight path from noise to latents, and the velocity along it (8.3).

Every random number is drawn with the batch on the host; the loss draws none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniaudio.errors import InvalidInputError
from uniaudio.llm.flow_head import FlowHead

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FlowMatchingConfig:
    """How noise and times are drawn; the defaults are the published ones.

    Attributes:
        num_draws: noises and times for each chosen patch. The LLM runs once whatever their number, and
            small heads need several.
        patch_fraction: the part of a sequence's patches that is chosen, at random.
        times: "uniform", or "log-normal": the ratio of noise to latents is, so times gather mid-way.
        log_ratio_mean, log_ratio_std: of the logarithm of that ratio.
        condition_dropout: how often the condition is zeros, which guidance needs.
        channel_weights: one weight per latent channel, scaled to a mean of 1; empty weighs all alike.
    """

    num_draws: int = 1
    patch_fraction: float = 1.0
    times: Literal["uniform", "log-normal"] = "uniform"
    log_ratio_mean: float = 0.0
    log_ratio_std: float = 1.0
    condition_dropout: float = 0.1
    channel_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.num_draws < 1:
            raise InvalidInputError(f"num_draws is {self.num_draws}; give at least 1")
        if not 0 < self.patch_fraction <= 1:
            raise InvalidInputError(f"patch_fraction is {self.patch_fraction}; it lies above 0, up to 1")
        if not 0 <= self.condition_dropout < 1:
            raise InvalidInputError(f"condition_dropout is {self.condition_dropout}; it lies in [0, 1)")

    def num_chosen(self, num_patches: int) -> int:
        """How many of a sequence's patches are chosen: at least one."""
        return max(1, round(self.patch_fraction * num_patches))

    def num_values(self, num_patches: int, patch_size: int, latent_dim: int) -> int:
        """How many numbers of a sequence enter the mean."""
        return self.num_chosen(num_patches) * self.num_draws * patch_size * latent_dim


@dataclass(frozen=True, kw_only=True)
class FlowTargets:
    """M chosen patches with K draws each.

    `latents`, `history` `(M, P, C)`; `noise` `(K, M, P, C)`; `flow_time` `(K, M)`; `dropped` `(K, M)`,
    bool, where the condition is zeros; `weights` `(M, P)`, of the frames.
    """

    latents: Tensor
    history: Tensor
    noise: Tensor
    flow_time: Tensor
    dropped: Tensor
    weights: Tensor

    @classmethod
    def joined(cls, parts: Sequence[FlowTargets]) -> FlowTargets:
        """Several sequences' targets as one."""

        def patches(name: str, axis: int) -> Tensor:
            return torch.cat([getattr(part, name) for part in parts], axis)

        return cls(
            latents=patches("latents", 0),
            history=patches("history", 0),
            noise=patches("noise", 1),
            flow_time=patches("flow_time", 1),
            dropped=patches("dropped", 1),
            weights=patches("weights", 0),
        )


def choose_patches(
    rng: np.random.Generator, num_patches: int, config: FlowMatchingConfig
) -> NDArray[np.int64]:
    """Indices of the patches that take part, in order."""
    return np.sort(rng.permutation(num_patches)[: config.num_chosen(num_patches)])


def draw_targets(
    rng: np.random.Generator,
    latents: Floats,
    history: Floats,
    weights: Floats,
    config: FlowMatchingConfig,
) -> FlowTargets:
    """Targets for chosen `latents` `(M, P, C)` after `history`, with frame weights `(M, P)`."""
    shape = (config.num_draws, len(latents))
    noise = rng.standard_normal((*shape, *latents.shape[1:]), dtype=np.float32)
    return FlowTargets(
        latents=torch.from_numpy(latents),
        history=torch.from_numpy(history),
        noise=torch.from_numpy(noise),
        flow_time=_draw_times(rng, shape, config),
        dropped=torch.from_numpy(rng.random(shape) < config.condition_dropout),
        weights=torch.from_numpy(weights),
    )


def _draw_times(rng: np.random.Generator, shape: tuple[int, int], config: FlowMatchingConfig) -> Tensor:
    """Flow times of that shape, 0 for noise: a patch's draws lie in as many equal parts of the scale."""
    uniform = torch.from_numpy((np.arange(shape[0])[:, None] + rng.random(shape)) / shape[0])
    if config.times == "uniform":
        return uniform.float()
    normal = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
    return torch.sigmoid(-(config.log_ratio_mean + config.log_ratio_std * normal)).float()


def flow_loss(
    head: FlowHead,
    condition: Tensor,
    targets: FlowTargets,
    num_values: int,
    channel_weights: Sequence[float] = (),
) -> Tensor:
    """Weighted squared error of the velocities, divided by `num_values` of the whole step.

    `condition` `(M, H)`: the hidden states of the chosen patches.
    """
    num_draws = len(targets.flow_time)
    keep = (~targets.dropped)[..., None].to(condition.dtype)
    conditions = (condition * keep).flatten(0, 1)
    history = targets.history.expand(num_draws, *targets.history.shape).flatten(0, 1)
    time = targets.flow_time[..., None, None]
    noisy = (1 - time) * targets.noise + time * targets.latents
    velocity = head.velocity(noisy.flatten(0, 1), targets.flow_time.flatten(), conditions, history)
    error = velocity.view_as(targets.noise) - (targets.latents - targets.noise)
    squared = error.square() * targets.weights[..., None]
    if channel_weights:
        weights = torch.tensor(channel_weights, device=squared.device)
        squared = squared * (weights / weights.mean())
    return squared.sum() / num_values
