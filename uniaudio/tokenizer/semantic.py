"""The semantic module: latents to unified embeddings, what the LLM reads (model specification 2.4)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import gelu

from uniaudio.nn.attention import (
    Caches,
    LayerCaches,
    SequenceCache,
    attend,
    caches_of_layer,
    count_positions,
    packed_positions,
)
from uniaudio.nn.norm import LayerNorm
from uniaudio.nn.rope import rotary_tables, rotate_interleaved

_ROPE_BASE = 10000.0


class SemanticAttention(nn.Module):
    """Causal attention over the whole past, rotary positions on adjacent pairs."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.head_dim = dim // num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(
        self,
        x: Tensor,
        tables: tuple[Tensor, Tensor],
        lengths: Sequence[int],
        caches: LayerCaches,
    ) -> Tensor:
        q, k, v = (
            linear(x).unflatten(-1, (-1, self.head_dim)) for linear in (self.query, self.key, self.value)
        )
        q, k = rotate_interleaved(q, *tables), rotate_interleaved(k, *tables)
        out: Tensor = self.out(attend(q, k, v, lengths, caches).flatten(1))
        return out


class SemanticBlock(nn.Module):
    """One pre-norm block: attention, then a feed-forward of four times the width."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(dim)
        self.attention = SemanticAttention(dim, num_heads)
        self.feed_forward_norm = LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(
        self,
        x: Tensor,
        tables: tuple[Tensor, Tensor],
        lengths: Sequence[int],
        caches: LayerCaches,
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), tables, lengths, caches)
        out: Tensor = x + self.contract(gelu(self.expand(self.feed_forward_norm(x))))
        return out


class SemanticModule(nn.Module):
    """Latents `(N, latent_dim)` of packed sequences to unified embeddings `(N, unified_dim)`.

    `projection` is the decoder's first layer, shared with it. The past is never cut, so the cache
    of a sequence grows by one position per frame for as long as the sequence lasts.
    """

    def __init__(self, projection: nn.Linear, unified_dim: int, num_layers: int, num_heads: int) -> None:
        super().__init__()
        self.projection = projection
        self.expansion = nn.Linear(projection.out_features, unified_dim)
        self.blocks = nn.ModuleList(SemanticBlock(unified_dim, num_heads) for _ in range(num_layers))
        self.norm = LayerNorm(unified_dim)
        self.head_dim = unified_dim // num_heads

    def new_cache(self) -> SequenceCache:
        """An empty cache for one sequence."""
        return SequenceCache.empty(len(self.blocks))

    def embed(self, latents: Tensor) -> Tensor:
        """Input of the first block, `(N, unified_dim)`."""
        projected = self.projection(latents.to(self.projection.weight.dtype))
        out: Tensor = self.expansion(gelu(projected))
        return out

    def forward(
        self,
        latents: Tensor,
        lengths: Sequence[int],
        caches: Caches = None,
    ) -> Tensor:
        """Unified embeddings; each sequence continues its cache, which is extended in place.

        Args:
            latents: `(N, latent_dim)`, the new frames of all sequences one after the other.
            lengths: new frames of each sequence; they sum to N.
        """
        tables = rotary_tables(packed_positions(lengths, caches, latents.device), self.head_dim, _ROPE_BASE)
        x = self.embed(latents)
        for index, block in enumerate(self.blocks):
            x = block(x, tables, lengths, caches_of_layer(caches, index))
        count_positions(caches, lengths)
        out: Tensor = self.norm(x)
        return out
