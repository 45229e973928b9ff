"""The gated feed-forward block of Qwen2 backbones and of experts (model specification 2.2, 3.4)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import silu


class GatedFeedForward(nn.Module):
    """`down(silu(gate(x)) * up(x))` without biases; `(..., dim)` to `(..., dim)`."""

    def __init__(self, dim: int, intermediate_dim: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(dim, intermediate_dim, bias=False)
        self.up_proj = nn.Linear(dim, intermediate_dim, bias=False)
        self.down_proj = nn.Linear(intermediate_dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))
        return out
