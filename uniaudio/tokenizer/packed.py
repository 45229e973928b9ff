"""The semantic module and the decoder in the CPU kernels' layout; they take the plain ones' places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uniaudio.nn.native.cache import PackedCache, run_stack
from uniaudio.nn.native.packed import (
    Activation,
    Affine,
    LayerWeights,
    PackedMatrix,
    PackedStack,
    Precision,
    StackShape,
    half_split,
)
from uniaudio.nn.native.pool import BlockPool
from uniaudio.nn.rope import rotary_frequencies
from uniaudio.tokenizer.semantic import SemanticBlock, SemanticModule

_ROPE_BASE = 10000.0


class PackedSemantic:
    """Does what `SemanticModule` does for inference, over blocks of a pool of its own."""

    def __init__(self, module: SemanticModule, precision: Precision) -> None:
        dim = module.expansion.out_features
        self._projection = PackedMatrix(_affine(module.projection), Precision.FLOAT32)
        self._expansion = PackedMatrix(_affine(module.expansion), Precision.FLOAT32)
        num_heads = dim // module.head_dim
        blocks = [block for block in module.blocks if isinstance(block, SemanticBlock)]
        self._stack = PackedStack(
            StackShape(
                dim=dim,
                num_heads=num_heads,
                num_kv_heads=num_heads,
                head_dim=module.head_dim,
                num_layers=len(blocks),
                frequencies=rotary_frequencies(module.head_dim, _ROPE_BASE).double().numpy(),
                eps=module.norm.eps,
                activation=Activation.GELU_ERF,
            ),
            [_semantic_layer(block, module.head_dim) for block in blocks],
            module.norm.weight,
            module.norm.bias,
            precision,
        )
        self.pool = BlockPool(self._stack.block_bytes)

    def new_cache(self) -> PackedCache:
        """An empty cache for one sequence."""
        return PackedCache(self.pool)

    def __call__(
        self, latents: Tensor, lengths: Sequence[int], caches: Sequence[PackedCache] | None = None
    ) -> Tensor:
        """Unified embeddings `(N, unified_dim)`, float32; arguments as in `SemanticModule.forward`."""
        x = self._expansion(self._projection(latents, activation=Activation.GELU_ERF))
        if caches is None:
            caches = [self.new_cache() for _ in lengths]
        return run_stack(self._stack, x, lengths, caches)


def _semantic_layer(block: SemanticBlock, head_dim: int) -> LayerWeights:
    attention = block.attention
    query, key, value = attention.query, attention.key, attention.value
    bias = torch.cat((half_split(query.bias, head_dim), torch.zeros_like(query.bias), value.bias))
    return LayerWeights(
        attention_norm=block.attention_norm.weight,
        attention_norm_bias=block.attention_norm.bias,
        feed_forward_norm=block.feed_forward_norm.weight,
        feed_forward_norm_bias=block.feed_forward_norm.bias,
        query_key_value=Affine(
            torch.cat((half_split(query.weight, head_dim), half_split(key.weight, head_dim), value.weight)),
            bias,
        ),
        out=_affine(attention.out),
        up=_affine(block.expand),
        down=_affine(block.contract),
    )


def _affine(linear: nn.Linear) -> Affine:
    return Affine(linear.weight, linear.bias)
