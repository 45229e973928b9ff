"""The diffusion transformer that predicts the next patch's velocity, and the stop head (4.2, 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention, silu

from uniaudio.llm.config import FlowHeadConfig
from uniaudio.nn.attention import plain_attention
from uniaudio.nn.norm import RMSNorm
from uniaudio.nn.rope import rotary_tables, rotate_interleaved, tables_of_frequencies

_NORM_EPS = 1e-6
_TIME_FEATURES = 256
_ROPE_BASE = 10000.0


def time_features(flow_time: Tensor) -> Tensor:
    """Sines and cosines `(B, 256)`, float32, of times `(B,)` in [0, 1]."""
    half = _TIME_FEATURES // 2
    steps = torch.arange(half, dtype=torch.float32, device=flow_time.device)
    frequencies = torch.exp(steps * -(math.log(10000.0) / (half - 1)))
    angles = 1000.0 * flow_time.float()[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), -1)


class TimeEmbedding(nn.Module):
    """Two linear layers over the time features; `(B,)` to `(B, D)`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_in = nn.Linear(_TIME_FEATURES, dim)
        self.linear_out = nn.Linear(dim, dim)

    def forward(self, flow_time: Tensor) -> Tensor:
        features = time_features(flow_time).to(self.linear_in.weight.dtype)
        out: Tensor = self.linear_out(silu(self.linear_in(features)))
        return out


class BidirectionalAttention(nn.Module):
    """Attention of all positions to all; `(B, S, D)` to `(B, S, D)`."""

    def __init__(self, config: FlowHeadConfig) -> None:
        super().__init__()
        dim = config.hidden_size
        self.num_heads, self.head_dim = config.num_heads, dim // config.num_heads
        self.num_rotary_heads = config.num_rotary_heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.to_out = nn.Linear(dim, dim)
        self.q_norm = RMSNorm(self.head_dim, _NORM_EPS) if config.qk_norm else None
        self.k_norm = RMSNorm(self.head_dim, _NORM_EPS) if config.qk_norm else None

    def forward(self, x: Tensor, tables: tuple[Tensor, Tensor], num_last: int | None = None) -> Tensor:
        """What all positions see, or only the last ones: `(B, num_last, D)`."""
        start = 0 if num_last is None else x.shape[1] - num_last
        queries = self._heads(self.to_q, x[:, start:])
        keys, values = self._heads(self.to_k, x), self._heads(self.to_v, x)
        if self.q_norm is not None and self.k_norm is not None:
            queries, keys = self.q_norm(queries), self.k_norm(keys)
        cos, sin = tables
        queries, keys = self._rotate(queries, (cos[start:], sin[start:])), self._rotate(keys, tables)
        # On a CPU the fused kernel's backward pass is many times slower, in bfloat16 above all.
        plain = queries.requires_grad and queries.device.type == "cpu"
        attend = plain_attention if plain else scaled_dot_product_attention
        attended = attend(queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2))
        out: Tensor = self.to_out(attended.transpose(1, 2).flatten(-2))
        return out

    def _heads(self, projection: nn.Linear, x: Tensor) -> Tensor:
        out: Tensor = projection(x).view(*x.shape[:2], self.num_heads, self.head_dim)
        return out

    def _rotate(self, heads: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
        """Rotates `(B, S, heads, d)`; where the config says so, only the first heads."""
        rotate = _rotate_as_complex if heads.requires_grad else rotate_interleaved
        count = self.num_rotary_heads
        if count is None:
            return rotate(heads, *tables)
        return torch.cat((rotate(heads[:, :, :count], *tables), heads[:, :, count:]), 2)


def _rotate_as_complex(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`rotate_interleaved`, with a backward pass that is several times faster."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    turned = torch.view_as_real(pairs * torch.complex(cos, sin)[:, None])
    return turned.flatten(-2).to(x.dtype)


class DiffusionBlock(nn.Module):
    """Pre-norm attention and feed-forward, each with its residual."""

    def __init__(self, config: FlowHeadConfig) -> None:
        super().__init__()
        dim, inner = config.hidden_size, int(config.hidden_size * config.mlp_ratio)
        self.norm1 = RMSNorm(dim, _NORM_EPS)
        self.attention = BidirectionalAttention(config)
        self.norm2 = RMSNorm(dim, _NORM_EPS)
        self.linear_in = nn.Linear(dim, inner)
        self.linear_out = nn.Linear(inner, dim)

    def forward(self, x: Tensor, tables: tuple[Tensor, Tensor], num_last: int | None = None) -> Tensor:
        """`(B, S, D)` to `(B, S, D)`, or to the last `num_last` positions of it."""
        attended = self.attention(self.norm1(x), tables, num_last)
        x = attended + (x if num_last is None else x[:, -num_last:])
        out: Tensor = x + self.linear_out(gelu(self.linear_in(self.norm2(x)), approximate="tanh"))
        return out


@dataclass(frozen=True)
class PatchConstants:
    """What all solver steps of a patch have in common.

    `condition` `(B, D)` and `history` `(B, P, D)`, embedded; `tables`: rotary ones of all `1 + 2 P` positions.
    """

    condition: Tensor
    history: Tensor
    tables: tuple[Tensor, Tensor]


class FlowHead(nn.Module):
    """Velocity of a noisy patch, given the LLM's hidden state and the patch before.

    The sequence is [time + condition, history, patch]; there is no modulation and no mask. A zero
    condition is the unconditional case: the projection's bias stays.
    """

    def __init__(self, config: FlowHeadConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.hidden_size
        self.time_embedding = TimeEmbedding(dim)
        self.frame_embedding = nn.Linear(config.latent_dim, dim)
        self.condition_embedding = nn.Linear(config.condition_dim, dim)
        self.blocks = nn.ModuleList(DiffusionBlock(config) for _ in range(config.depth))
        self.norm = RMSNorm(dim, _NORM_EPS)
        self.output = nn.Linear(dim, config.latent_dim)
        # `(head_dim / 2,)`, float32: as a checkpoint stores them, perhaps rounded; None computes them.
        self.rotary_frequencies: Tensor | None = None

    def forward(
        self, x: Tensor, flow_time: Tensor, condition: Tensor, history: Tensor, num_last: int | None = None
    ) -> Tensor:
        """Network output at all positions, `(B, 1 + 2 P, C)`, or at the last ones only; float32.

        Args:
            x: noisy patch `(B, P, C)`.
            flow_time: `(B,)`, 0 is noise, 1 the latents.
            condition: hidden state `(B, H)`; zeros for the unconditional case.
            history: the clean patch before, `(B, P, C)`.
            num_last: how many positions to give; None gives all.
        """
        return self._at(x, self.time_embedding(flow_time), self.constants(condition, history), num_last)

    def velocity(self, x: Tensor, flow_time: Tensor, condition: Tensor, history: Tensor) -> Tensor:
        """Velocity `(B, P, C)` of the noisy patch; arguments as in `forward`."""
        out: Tensor = self(x, flow_time, condition, history, self.config.patch_size)
        return out

    def constants(self, condition: Tensor, history: Tensor) -> PatchConstants:
        """What `velocity_at` needs of a condition and a history; arguments as in `forward`."""
        dtype, size = self.output.weight.dtype, 1 + 2 * history.shape[1]
        positions = torch.arange(size, device=history.device)
        if self.rotary_frequencies is None:
            tables = rotary_tables(positions, self.config.hidden_size // self.config.num_heads, _ROPE_BASE)
        else:
            tables = tables_of_frequencies(positions, self.rotary_frequencies)
        return PatchConstants(
            self.condition_embedding(condition.to(dtype)), self.frame_embedding(history.to(dtype)), tables
        )

    def velocity_at(self, x: Tensor, time_row: Tensor, constants: PatchConstants) -> Tensor:
        """`velocity`, of a time `(D,)` or times `(B, D)` that `time_embedding` has embedded."""
        return self._at(x, time_row, constants, self.config.patch_size)

    def _at(self, x: Tensor, time_row: Tensor, constants: PatchConstants, num_last: int | None) -> Tensor:
        lead = time_row + constants.condition
        frames = self.frame_embedding(x.to(lead.dtype))
        sequence = torch.cat((lead[:, None], constants.history, frames), 1)
        for index, block in enumerate(self.blocks):
            is_last = index == len(self.blocks) - 1
            # Only the last block may leave positions out: nobody looks at them after it.
            sequence = block(sequence, constants.tables, num_last if is_last else None)
        out: Tensor = self.output(self.norm(sequence)).float()
        return out


class StopHead(nn.Linear):
    """Two logits of a hidden state; index 1 means that speech has ended."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size, 2)

    def probability(self, hidden: Tensor) -> Tensor:
        """Stop probability `(B,)`, float32, of hidden states `(B, H)`."""
        logits: Tensor = self(hidden)
        return logits.float().softmax(-1)[:, 1]
