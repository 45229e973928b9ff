"""The decoder-only MoE transformer over packed sequences (model specification 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import MROPE_SECTIONS, LanguageModelConfig
from uniaudio.nn.attention import (
    Caches,
    LayerCaches,
    SequenceCache,
    attend,
    caches_of_layer,
    count_positions,
    packed_positions,
)
from uniaudio.nn.moe import MixtureOfExperts
from uniaudio.nn.norm import RMSNorm
from uniaudio.nn.rope import rotary_tables, rotate_half_split


class Attention(nn.Module):
    """Grouped-query attention with one fused projection: all q heads, then all k, then all v."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        self.head_dim = config.head_dim
        rows = (self.num_heads + 2 * self.num_kv_heads) * self.head_dim
        self.query_key_value = nn.Linear(config.hidden_size, rows, bias=config.use_qkv_bias)
        self.dense = nn.Linear(self.num_heads * self.head_dim, config.hidden_size, bias=config.use_bias)

    def forward(
        self,
        x: Tensor,
        tables: tuple[Tensor, Tensor],
        lengths: Sequence[int],
        caches: LayerCaches,
    ) -> Tensor:
        heads = self.query_key_value(x).view(x.shape[0], -1, self.head_dim)
        queries, keys, values = torch.split(heads, [self.num_heads, self.num_kv_heads, self.num_kv_heads], 1)
        queries, keys = rotate_half_split(queries, *tables), rotate_half_split(keys, *tables)
        out: Tensor = self.dense(attend(queries, keys, values, lengths, caches).flatten(-2))
        return out


class DecoderLayer(nn.Module):
    """Pre-norm attention and mixture of experts, each with its residual; `(N, H)` to `(N, H)`."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attention = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MixtureOfExperts(
            config.hidden_size,
            config.moe_intermediate_size,
            config.num_experts,
            config.top_k,
            config.num_shared_experts,
            norm_topk_prob=config.norm_topk_prob,
            multi_gate=config.multi_gate,
        )

    def forward(
        self,
        x: Tensor,
        tables: tuple[Tensor, Tensor],
        lengths: Sequence[int],
        caches: LayerCaches,
        audio_mask: Tensor | None,
    ) -> Tensor:
        x = x + self.attention(self.input_layernorm(x), tables, lengths, caches)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x), audio_mask)
        return out


class LanguageModel(nn.Module):
    """Embeddings in, hidden states and text logits out; many sequences in one packed call."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        table = torch.empty(config.vocab_size, config.hidden_size)
        if (
            not table.is_meta
        ):  # there is nothing to draw, and nn.Embedding would load torch's compiler for it (1 s)
            table.normal_()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, _weight=table)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def new_cache(self) -> SequenceCache:
        """What the model remembers of one sequence; empty."""
        return SequenceCache.empty(self.config.num_layers)

    def embed(self, token_ids: Tensor) -> Tensor:
        """Embeddings `(N, H)` of ids `(N,)`; ids beyond the table take its last row (7.2)."""
        out: Tensor = self.word_embeddings(token_ids.clamp(0, self.config.vocab_size - 1))
        return out

    def forward(
        self,
        embeddings: Tensor,
        lengths: Sequence[int],
        caches: Caches = None,
        audio_mask: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Hidden states `(N, H)` after the final norm.

        Args:
            embeddings: `(N, H)`, the new positions of all sequences one after the other.
            lengths: new positions of each sequence; they sum to N.
            caches: one per sequence, extended in place, or a step over a pool; None computes the sequences alone.
            audio_mask: `(N,)`, bool; rows for the audio router. It matters in understanding only.
            positions: `(N,)`, or `(3, N)` for time, height and width; by default each sequence
                continues its cache.
        """
        if positions is None:
            positions = packed_positions(lengths, caches, embeddings.device)
        tables = self._rotary_tables(positions)
        x = embeddings
        for index, layer in enumerate(self.layers):
            x = layer(x, tables, lengths, caches_of_layer(caches, index), audio_mask)
        count_positions(caches, lengths)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """Text logits `(N, V)`, float32, of hidden states `(N, H)`."""
        out: Tensor = self.lm_head(hidden).float()
        return out

    def _rotary_tables(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines `(N, head_dim / 2)`; three axes share the frequencies in three blocks."""
        head_dim, base = self.config.head_dim, self.config.rope_theta
        if positions.ndim == 1:
            return rotary_tables(positions, head_dim, base)
        if sum(MROPE_SECTIONS) * 2 != head_dim:
            raise InvalidInputError(
                f"positions on three axes need a head of {2 * sum(MROPE_SECTIONS)}, this model's has "
                f"{head_dim}; give one position per embedding"
            )
        axes = [rotary_tables(axis, head_dim, base) for axis in positions]
        cos, sin = (
            torch.cat(
                [torch.split(table, list(MROPE_SECTIONS), -1)[axis] for axis, table in enumerate(tables)], -1
            )
            for tables in zip(*axes, strict=True)
        )
        return cos, sin


@torch.no_grad()
def normalize_head(weight: Tensor, num_rows: int = 4096) -> None:
    """Scales each hidden coordinate's column of the head `(V, H)` to length 1, in place (3.5).

    Works on `num_rows` rows at a time, so that the float32 copies stay small.
    """
    parts = torch.split(weight, num_rows)
    squares = torch.stack([rows.float().square().sum(0) for rows in parts]).sum(0)
    for rows in parts:
        rows.copy_(rows.float() / (squares.sqrt() + 1e-7))
