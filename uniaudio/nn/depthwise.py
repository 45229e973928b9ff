"""A residual block that mixes over time channel by channel, then over channels: small hearing networks are built of it.

No recurrence and no attention: it trains in minutes on a processor.
"""

from __future__ import annotations

from torch import Tensor, nn


class DepthwiseBlock(nn.Module):
    """`(B, width, T)` to the same; an odd `kernel_size`, half of which it hears ahead."""

    def __init__(self, width: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.over_time = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.over_time(x).transpose(1, 2))
        changed: Tensor = self.down(nn.functional.gelu(self.up(mixed)))
        return x + changed.transpose(1, 2)
