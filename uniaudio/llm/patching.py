"""Unified features to language model embeddings, one per patch (model specification 4.1)."""

from __future__ import annotations

from torch import Tensor, nn

from uniaudio.nn.norm import RMSNorm


class LinearPooling(nn.Module):
    """The mean over each patch of the normed and projected frames."""

    def __init__(self, unified_dim: int, hidden_size: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.norm = RMSNorm(unified_dim, 1e-6)
        self.linear = nn.Linear(unified_dim, hidden_size)

    def forward(self, unified_embeddings: Tensor) -> Tensor:
        """Embeddings `(N, H)` of whole patches of frames `(N * patch_size, unified_dim)`."""
        frames: Tensor = self.linear(self.norm(unified_embeddings))
        patches = frames.view(-1, self.patch_size, frames.shape[-1])
        return patches.float().mean(1).to(frames.dtype)
