"""AdamW with the schedules of `OptimizerConfig`, and a player's parameters under it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from training.config import OptimizerConfig
from training.stage import Player
from uniaudio.errors import InvalidInputError


def rate_factor(config: OptimizerConfig, step: int, num_steps: int) -> float:
    """The part of the learning rate that step `step` (from 0) of `num_steps` moves with."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup_steps) / max(1, num_steps - config.warmup_steps)
    wave = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.final_fraction + (1 - config.final_fraction) * wave


def named_parameters(modules: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """Every parameter once, as `<module name>.<parameter>`, under the first name that it has."""
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for module_name, module in modules.items():
        for name, parameter in module.named_parameters():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{module_name}.{name}"] = parameter
    return found


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a sharded tensor, sharing its memory; any other tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


class PlayerOptimizer:
    """A player's trained parameters, their AdamW and their learning rates.

    Raises InvalidInputError where nothing can be trained, or a `per_module` prefix fits no parameter.
    """

    def __init__(self, player: Player, num_steps: int) -> None:
        self.name, self.config, self._num_steps = player.name, player.optimizer, num_steps
        named = named_parameters(player.modules)
        self.parameters = {name: value for name, value in named.items() if value.requires_grad}
        if not self.parameters:
            raise InvalidInputError(
                f"player {player.name!r} has no parameter that requires gradients; unfreeze one of "
                f"its modules ({', '.join(player.modules)}) or leave the player out"
            )
        self.adamw = torch.optim.AdamW(
            self._groups(),
            lr=self.config.learning_rate,
            betas=self.config.betas,
            eps=self.config.eps,
            fused=True,
        )

    def begin(self, everyone: Sequence[PlayerOptimizer]) -> None:
        """Before the player's turn: no gradients are left, and only its own parameters ask for new ones."""
        if len(everyone) > 1:
            for other in everyone:
                for parameter in other.parameters.values():
                    parameter.requires_grad_(False)
            for parameter in self.parameters.values():
                parameter.requires_grad_(True)
        self.adamw.zero_grad(set_to_none=True)

    def move(self, step: int, gradient_norm: float) -> None:
        """One step of AdamW, at the schedule's rate, by gradients clipped to the configured norm."""
        limit = self.config.clip_norm
        if limit is not None and gradient_norm > limit:
            gradients = [local(p.grad) for p in self.parameters.values() if p.grad is not None]
            torch._foreach_mul_(gradients, limit / gradient_norm)
        factor = rate_factor(self.config, step, self._num_steps)
        for group in self.adamw.param_groups:
            group["lr"] = group["base_rate"] * factor
        self.adamw.step()

    def rates(self) -> dict[str, float]:
        """The learning rate that each group of modules moved with last, by the group's name."""
        return {group["label"]: float(group["lr"]) for group in self.adamw.param_groups}

    def _groups(self) -> list[dict[str, object]]:
        prefixes = dict(self.config.per_module)
        grouped: dict[tuple[str, bool, bool], list[Tensor]] = defaultdict(list)
        used = set()
        for name, parameter in self.parameters.items():
            label = _longest_prefix(name, prefixes)
            used.add(label)
            # Sharded and whole tensors cannot share one fused call.
            grouped[label, parameter.ndim >= 2, isinstance(parameter, DTensor)].append(parameter)
        for prefix in prefixes:
            if prefix not in used:
                raise InvalidInputError(
                    f"per_module names {prefix!r}, which is the longest fitting prefix of no trained parameter "
                    f"of player {self.name!r}; its parameters begin with {_beginnings(self.parameters)}"
                )
        return [
            {
                "params": parameters,
                "label": label,
                "base_rate": prefixes.get(label, self.config.learning_rate),
                "weight_decay": self.config.weight_decay if is_matrix else 0.0,
            }
            for (label, is_matrix, _), parameters in grouped.items()
        ]


def _longest_prefix(name: str, prefixes: Mapping[str, float]) -> str:
    """The longest of `prefixes` that `name` begins with, as whole parts between dots; "" when none does."""
    fitting = [prefix for prefix in prefixes if f"{name}.".startswith(f"{prefix}.")]
    return max(fitting, key=len, default="")


def _beginnings(names: Iterable[str]) -> str:
    return ", ".join(sorted({".".join(name.split(".")[:2]) for name in names}))
