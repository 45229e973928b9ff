"""The tokenizer's parts in the CPU kernels' layout; they take the plain ones' places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from uniaudio.tokenizer.backbone import Backbone, BackboneLayer
from uniaudio.tokenizer.istft_head import IstftHead
from uniaudio.tokenizer.model import AudioTokenizer
from uniaudio.tokenizer.semantic import SemanticBlock, SemanticModule

_ROPE_BASE = 10000.0


def pack_tokenizer(tokenizer: AudioTokenizer, precision: Precision) -> None:
    """Gives the encoder and the decoder that are there packed backbones, and the decoder a packed head.

    Streams that have begun cannot go on; UnavailableError, and nothing changed, without kernels.
    """
    if tokenizer.has_part("encoder"):
        tokenizer.encoder.backbone = PackedBackbone(tokenizer.encoder.backbone, precision)
    if tokenizer.has_part("decoder"):
        tokenizer.decoder.backbone = PackedBackbone(tokenizer.decoder.backbone, precision)
        tokenizer.decoder.head = PackedIstftHead(tokenizer.decoder.head)


class PackedBackbone(Backbone):
    """Does what `Backbone` does for inference, over blocks of a pool of its own."""

    def __init__(self, backbone: Backbone, precision: Precision) -> None:
        nn.Module.__init__(self)
        config = self.config = backbone.config
        self.windows = backbone.windows
        self._stack = PackedStack(
            StackShape(
                dim=config.hidden_size,
                num_heads=config.num_heads,
                num_kv_heads=config.num_kv_heads,
                head_dim=config.head_dim,
                num_layers=len(backbone.layers),
                frequencies=rotary_frequencies(config.head_dim, config.rope_theta).double().numpy(),
                eps=config.rms_norm_eps,
                activation=Activation.SILU_GATE,
                windows=self.windows,
            ),
            [_backbone_layer(layer) for layer in backbone.layers if isinstance(layer, BackboneLayer)],
            backbone.norm.weight,
            None,
            precision,
        )
        self.pool = BlockPool(self._stack.block_bytes)

    def new_cache(self) -> Any:
        """An empty cache for one sequence."""
        return PackedCache(self.pool, self._stack.shape.max_window)

    def forward(self, x: Tensor, lengths: Sequence[int], caches: Sequence[Any] | None = None) -> Tensor:
        """Hidden states after the final norm; each sequence continues its cache, which is extended."""
        if caches is None:
            caches = [self.new_cache() for _ in lengths]
        return run_stack(self._stack, x, lengths, caches).to(x.dtype)


class PackedIstftHead(IstftHead):
    """Does what `IstftHead` does, with a packed product."""

    def __init__(self, head: IstftHead) -> None:
        nn.Module.__init__(self)
        self.hop_length, self.window_length = head.hop_length, head.window_length
        self.overlap_length, self.edge_length = head.overlap_length, head.edge_length
        self.register_buffer("window", head.window)
        self._matrix = PackedMatrix(Affine(head.out.weight, head.out.bias), Precision.FLOAT32)

    def project(self, hidden: Tensor) -> Tensor:
        """Log magnitudes and phases `(..., window_length + 2)`."""
        return self._matrix(hidden.flatten(0, -2)).view(*hidden.shape[:-1], self._matrix.num_out)


def _backbone_layer(layer: BackboneLayer) -> LayerWeights:
    attention, feed_forward = layer.attention, layer.feed_forward
    parts = (attention.query, attention.key, attention.value)
    return LayerWeights(
        attention_norm=layer.attention_norm.weight,
        feed_forward_norm=layer.feed_forward_norm.weight,
        query_key_value=Affine(
            torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
        ),
        out=Affine(attention.out.weight),
        up=Affine(torch.cat((feed_forward.gate_proj.weight, feed_forward.up_proj.weight)), is_gated=True),
        down=Affine(feed_forward.down_proj.weight),
    )


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
