"""Normalisations computed in float32 whatever the weights' dtype (model specification 0.3, 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """`weight * x / sqrt(mean(x^2) + eps)` over the last axis; `(..., dim)` to `(..., dim)`."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (self.weight.float() * (wide * scale)).to(x.dtype)


class LayerNorm(nn.LayerNorm):
    """LayerNorm with float32 arithmetic; `(..., dim)` to `(..., dim)`."""

    def forward(self, x: Tensor) -> Tensor:
        out = nn.functional.layer_norm(
            x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps
        )
        return out.to(x.dtype)
