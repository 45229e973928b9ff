"""Low-rank adapters beside frozen weights: a released model tuned by a small part of its parameters (8.4).

An adapted layer keeps its weight's name and gets two more, so a checkpoint of the run holds the base as it
was, the adapters can be saved alone, and merging is a sum of tensors by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, silu

from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.nn.moe import Experts

_DOWN, _UP = "lora_a", "lora_b"
_EXPERT_PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
_AUDIO_TOKENIZER = ("encoder", "decoder", "semantic")
_METADATA = "lora"


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """The published defaults: `alpha / rank` scales what an adapter adds; `dropout` is on its input."""

    rank: int = 8
    alpha: float = 32.0
    dropout: float = 0.1
    targets: tuple[str, ...] = ("query_key_value", *_EXPERT_PROJECTIONS, "to_q", "to_v")

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise InvalidInputError(
                f"rank {self.rank}, alpha {self.alpha}, dropout {self.dropout}: rank is at least 1, alpha "
                "above 0, dropout from 0 to below 1"
            )

    @property
    def scale(self) -> float:
        """Factor of what the adapters add."""
        return self.alpha / self.rank


class LoraLinear(nn.Linear):
    """A linear layer plus its adapter; it shares the weight of the one that it replaces."""

    def __init__(self, base: nn.Linear, config: LoraConfig) -> None:
        super().__init__(base.in_features, base.out_features, base.bias is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.config = config
        self.lora_a, self.lora_b = _adapter(base.weight, config.rank)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + _adapted(x, self.lora_a, self.lora_b, self.config, self.training)


class LoraExperts(Experts):
    """Routed experts, each projection of each expert with an adapter of its own."""

    def __init__(self, base: Experts, config: LoraConfig) -> None:
        with torch.device("meta"):
            super().__init__(base.gate_proj.shape[2], base.gate_proj.shape[1], base.num_experts)
        self.config = config
        self.adapted = tuple(name for name in _EXPERT_PROJECTIONS if name in config.targets)
        for name in _EXPERT_PROJECTIONS:
            weight = base.get_parameter(name)
            setattr(self, name, weight)
            if name in self.adapted:
                down, up = _adapter(weight, config.rank)
                self.register_parameter(f"{name}_{_DOWN}", down)
                self.register_parameter(f"{name}_{_UP}", up)

    def _expert(self, index: int, rows: Tensor) -> Tensor:
        hidden = silu(self._project("gate_proj", index, rows)) * self._project("up_proj", index, rows)
        return self._project("down_proj", index, hidden)

    def _project(self, name: str, index: int, rows: Tensor) -> Tensor:
        out = linear(rows, self.get_parameter(name)[index])
        if name not in self.adapted:
            return out
        down, up = (self.get_parameter(f"{name}_{end}")[index] for end in (_DOWN, _UP))
        return out + _adapted(rows, down, up, self.config, self.training)


def add_lora(modules: Mapping[str, nn.Module], config: LoraConfig | None = None) -> list[str]:
    """Freezes the modules and adds adapters, which alone require gradients; gives the adapters' flat names.

    Nothing of the audio tokenizer (`encoder`, `decoder`, `semantic`) is adapted. Raises InvalidInputError
    if no module has a layer to adapt.
    """
    config = config or LoraConfig()
    for name, module in modules.items():
        module.requires_grad_(False)
        if name not in _AUDIO_TOKENIZER:
            _adapt_children(module, config)
    names = [
        f"{name}.{parameter}"
        for name, module in modules.items()
        for parameter, value in module.named_parameters()
        if value.requires_grad
    ]
    if not names:
        raise InvalidInputError(
            f"none of {sorted(modules)} has a layer named {', '.join(config.targets)}; there is nothing to adapt"
        )
    return names


class MergedWeights(Mapping[str, Tensor]):
    """Weights with their adapters added and left out; each sum is made in float32 when it is asked for."""

    def __init__(self, weights: Mapping[str, Tensor], config: LoraConfig) -> None:
        """`weights` by flat name, adapters among them. Raises CheckpointError for an adapter of nothing."""
        self._weights, self._config = weights, config
        self._adapters = {_adapted_name(n): n.removesuffix(_DOWN) for n in weights if n.endswith(_DOWN)}
        for weight, adapter in self._adapters.items():
            if weight not in weights or adapter + _UP not in weights:
                raise CheckpointError(f"{adapter}{_DOWN}: its {_UP} or the weight {weight} is missing")
        self._names = sorted(name for name in weights if not name.endswith((_DOWN, _UP)))
        # An export asks for the experts of a stack one by one, three stacks in turns.
        self._merged = lru_cache(maxsize=4)(self._merge)

    def __getitem__(self, name: str) -> Tensor:
        return self._merged(name) if name in self._adapters else self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _merge(self, name: str) -> Tensor:
        adapter, weight = self._adapters[name], self._weights[name]
        down, up = self._weights[adapter + _DOWN], self._weights[adapter + _UP]
        return (weight.float() + self._config.scale * (up.float() @ down.float())).to(weight.dtype)


def save_adapter(path: Path, weights: Mapping[str, Tensor], config: LoraConfig) -> None:
    """Writes the adapters among the weights, and their config, as one small safetensors file."""
    adapters = {n: weights[n].detach().cpu().contiguous() for n in weights if n.endswith((_DOWN, _UP))}
    save_file(adapters, path, metadata={_METADATA: json.dumps(asdict(config))})


def load_adapter(path: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """What `save_adapter` wrote: its config, and the tensors by flat name.

    Raises CheckpointError for a file that is missing, not whole, or no adapter.
    """
    try:
        with safe_open(path, framework="pt") as file:
            fields = json.loads((file.metadata() or {})[_METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        config = LoraConfig(**{**fields, "targets": tuple(fields["targets"])})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not an adapter file: {error!r}", path=path) from error
    return config, tensors


def _adapt_children(module: nn.Module, config: LoraConfig) -> None:
    for name, child in module.named_children():
        if isinstance(child, Experts) and set(_EXPERT_PROJECTIONS) & set(config.targets):
            setattr(module, name, LoraExperts(child, config).train(child.training))
        elif isinstance(child, nn.Linear) and name in config.targets:
            setattr(module, name, LoraLinear(child, config).train(child.training))
        else:
            _adapt_children(child, config)


def _adapter(weight: Tensor, rank: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Factors `(..., rank, in)` and `(..., out, rank)` of a weight `(..., out, in)`; their product is zero.

    Float32 whatever the weight is: steps of a fine-tuning are too small for bfloat16.
    """
    *stack, rows, columns = weight.shape
    down = torch.empty(*stack, rank, columns, dtype=torch.float32, device=weight.device)
    bound = columns**-0.5
    nn.init.uniform_(down, -bound, bound)
    up = torch.zeros(*stack, rows, rank, dtype=torch.float32, device=weight.device)
    return nn.Parameter(down), nn.Parameter(up)


def _adapted(x: Tensor, down: Tensor, up: Tensor, config: LoraConfig, training: bool) -> Tensor:
    kept = dropout(x, config.dropout, training)
    return config.scale * linear(linear(kept, down.to(x.dtype)), up.to(x.dtype))


def _adapted_name(down: str) -> str:
    """`llm.x.query_key_value.lora_a` belongs to `….query_key_value.weight`; `….up_proj_lora_a` to `….up_proj`."""
    owner = down.removesuffix(_DOWN)
    return owner + "weight" if owner.endswith(".") else owner.removesuffix("_")
