"""Everything of a run that a checkpoint holds, as tensors by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from training.loop.ema import WeightAverage
from training.loop.optimizer import PlayerOptimizer
from training.ranks.sharding import Layout

_MOMENTS = ("exp_avg", "exp_avg_sq")


def run_tensors(
    modules: Mapping[str, nn.Module],
    players: Sequence[PlayerOptimizer],
    average: WeightAverage | None,
    layout: Layout,
) -> dict[str, Tensor]:
    """Weights, buffers, optimizers' moments and the average; all share memory with the run."""
    held: dict[str, Tensor] = {}
    for name, value in module_tensors(modules).items():
        held[f"weights.{name}"] = layout.saved(value, value)
    for player in players:
        for name, parameter in player.parameters.items():
            for key, value in player.adamw.state.get(parameter, {}).items():
                is_like_weights = key in _MOMENTS
                held[f"optimizer.{player.name}.{name}.{key}"] = (
                    layout.saved(value, parameter) if is_like_weights else value
                )
    if average is not None:
        for name, value in average.weights.items():
            held[f"average.{name}"] = layout.saved(value, average.parameters[name])
    return held


def prepare_moments(players: Sequence[PlayerOptimizer], stored: Collection[str]) -> None:
    """Gives every parameter that has stored moments empty ones to read them into."""
    for player in players:
        for name, parameter in player.parameters.items():
            if f"optimizer.{player.name}.{name}.exp_avg" in stored:
                player.adamw.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    **{key: torch.zeros_like(parameter.detach()) for key in _MOMENTS},
                }


def module_tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters (as themselves) and persistent buffers by `<module name>.<name>`."""
    return {
        f"{module_name}.{name}": value
        for module_name, module in modules.items()
        for name, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, Tensor)
    }
