"""The causal Qwen2 stack that encoder and decoder share (model specification 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from uniaudio.nn.attention import LayerCache, SequenceCache, attend, packed_positions
from uniaudio.nn.feed_forward import GatedFeedForward
from uniaudio.nn.norm import RMSNorm
from uniaudio.nn.rope import rotary_tables, rotate_half_split
from uniaudio.tokenizer.config import BackboneConfig


class BackboneAttention(nn.Module):
    """Grouped-query attention with rotary positions and, where the layer has one, a window."""

    def __init__(self, config: BackboneConfig, window_keys: int | None) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.window_keys = window_keys
        query_dim = config.num_heads * config.head_dim
        key_dim = config.num_kv_heads * config.head_dim
        self.query = nn.Linear(config.hidden_size, query_dim)
        self.key = nn.Linear(config.hidden_size, key_dim)
        self.value = nn.Linear(config.hidden_size, key_dim)
        self.out = nn.Linear(query_dim, config.hidden_size, bias=False)

    def forward(
        self,
        x: Tensor,
        tables: tuple[Tensor, Tensor],
        lengths: Sequence[int],
        caches: Sequence[LayerCache] | None,
    ) -> Tensor:
        q, k, v = (
            linear(x).unflatten(-1, (-1, self.head_dim)) for linear in (self.query, self.key, self.value)
        )
        q, k = rotate_half_split(q, *tables), rotate_half_split(k, *tables)
        out: Tensor = self.out(attend(q, k, v, lengths, caches, self.window_keys).flatten(1))
        return out


class BackboneLayer(nn.Module):
    """One pre-norm layer: attention, then the gated feed-forward block."""

    def __init__(self, config: BackboneConfig, window_keys: int | None) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attention = BackboneAttention(config, window_keys)
        self.feed_forward_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.feed_forward = GatedFeedForward(config.hidden_size, config.intermediate_size)

    def forward(
        self,
        x: Tensor,
        tables: tuple[Tensor, Tensor],
        lengths: Sequence[int],
        caches: Sequence[LayerCache] | None,
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), tables, lengths, caches)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class Backbone(nn.Module):
    """The stack with its final norm, driven by embeddings; packed `(N, h)` to `(N, h)`."""

    def __init__(self, config: BackboneConfig, window_keys: int | None = None) -> None:
        super().__init__()
        self.config = config
        self.windows = config.windows(window_keys)
        self.layers = nn.ModuleList(BackboneLayer(config, window) for window in self.windows)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    @property
    def is_bounded(self) -> bool:
        """Whether an endless stream keeps a bounded cache: every layer has a window."""
        return None not in self.windows

    def new_cache(self) -> SequenceCache:
        """An empty cache for one sequence."""
        return SequenceCache.empty(len(self.layers))

    def forward(
        self, x: Tensor, lengths: Sequence[int], caches: Sequence[SequenceCache] | None = None
    ) -> Tensor:
        """Hidden states after the final norm; each sequence continues its cache, which is extended."""
        positions = packed_positions(lengths, caches, x.device)
        tables = rotary_tables(positions, self.config.head_dim, self.config.rope_theta)
        for index, layer in enumerate(self.layers):
            layer_caches = None if caches is None else [cache.layers[index] for cache in caches]
            x = layer(x, tables, lengths, layer_caches)
        if caches is not None:
            for cache, length in zip(caches, lengths, strict=True):
                cache.num_positions += length
        out: Tensor = self.norm(x)
        return out
