"""Rotary positions in the two pairings that the models use (model specification 0.3).

Tables are float32 and computed for the positions at hand, so no length is ever too long and no
buffer can be left uninitialised.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_tables(positions: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(N, head_dim / 2)`, float32, for integer `positions` `(N,)`."""
    return tables_of_frequencies(positions, rotary_frequencies(head_dim, base, positions.device))


def rotary_frequencies(head_dim: int, base: float, device: torch.device | None = None) -> Tensor:
    """Radians per position `(head_dim / 2,)`, float32, of each rotated pair."""
    exponent = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim
    frequencies: Tensor = 1.0 / base**exponent
    return frequencies


def tables_of_frequencies(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(N, d / 2)`, float32, for `frequencies` `(d / 2,)`, float32, radians per position."""
    # In float32 the product loses the angle after some hours of stream; frequencies stay float32 ones.
    angles = positions.double()[:, None] * frequencies.double()
    return angles.cos().float(), angles.sin().float()


def rotate_half_split(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates coordinate k with k + d/2; `x` `(N, heads, d)`, tables `(N, d / 2)`."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(x.dtype)


def rotate_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates coordinate 2k with 2k + 1; `x` `(N, heads, d)`, tables `(N, d / 2)`."""
    even, odd = x.float()[..., 0::2], x.float()[..., 1::2]
    cos, sin = cos[:, None], sin[:, None]
    rotated = torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1)
    return rotated.flatten(-2).to(x.dtype)
