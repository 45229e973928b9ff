"""From a checkpoint to the experts that one rank holds, in the form in which rank 0 runs its own."""

from __future__ import annotations

import torch
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.ranks.follower import RankExperts
from uniaudio.llm.config import LanguageModelConfig
from uniaudio.llm.packed import expert_weights, language_shape
from uniaudio.llm.state_dict_adapter import load_held_experts
from uniaudio.nn.native.held import PackedHeldExperts
from uniaudio.nn.native.library import kernels_reason
from uniaudio.nn.native.packed import Precision


def load_rank_experts(
    checkpoint: Checkpoint, held: range, *, precision: str, device: torch.device, use_kernels: bool
) -> RankExperts:
    """The experts `held` of every layer; of the checkpoint, nothing else is read."""
    config = LanguageModelConfig.from_config(checkpoint.config)
    if not runs_kernels(device, use_kernels):
        dtype: torch.dtype = getattr(torch, precision)
        layers = list(load_held_experts(checkpoint, held, dtype=dtype, device=device))

        @torch.no_grad()
        def results(layer: int, x: Tensor, ids: Tensor) -> Tensor:
            return layers[layer].results(x, ids)

        return RankExperts(results, config.hidden_size, config.top_k, dtype, device)
    packed = Precision[precision.upper()]
    # What will be held in whole numbers is rounded once, from what the checkpoint holds.
    dtype = torch.bfloat16 if packed is Precision.BFLOAT16 else torch.float32
    experts = PackedHeldExperts(
        language_shape(config),
        held,
        (expert_weights(layer) for layer in load_held_experts(checkpoint, held, dtype=dtype)),
        packed,
    )
    return RankExperts(experts.results, config.hidden_size, config.top_k, packed.rows_dtype, device)


def runs_kernels(device: torch.device, use_kernels: bool) -> bool:
    """Whether a rank computes by the CPU kernels."""
    return device.type == "cpu" and use_kernels and kernels_reason() is None


def model_identity(checkpoint: Checkpoint, *, precision: str, device: torch.device, use_kernels: bool) -> str:
    """What all ranks of a group must have in common."""
    form = "kernels" if runs_kernels(device, use_kernels) else f"plain on {device.type}"
    return f"{checkpoint.info.name} {checkpoint.info.revision}, {precision}, {form}"
