"""The text half of a checkpoint as a file that llama.cpp reads (its architecture `bailingmoe`).

Keys and names of tensors are llama.cpp's own (`gguf.constants`). Its rotary positions turn neighbours where ours turn
halves, so the rows of queries and keys are put in that order. The audio router stays out: text never asks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from uniaudio.llm.model import Attention, DecoderLayer, LanguageModel

TYPES = {
    "float32": gguf.GGMLQuantizationType.F32,
    "bfloat16": gguf.GGMLQuantizationType.BF16,
    "int8": gguf.GGMLQuantizationType.Q8_0,
}


def write_gguf(model: LanguageModel, path: Path, precision: str, context_length: int) -> None:
    """Writes matrices in `precision`, norms and routers in float32."""
    writer = gguf.GGUFWriter(path, "bailingmoe")
    _write_sizes(writer, model, context_length)
    for name, tensor in _tensors(model):
        values = tensor.detach().float().numpy()
        is_exact = values.ndim == 1 or "ffn_gate_inp" in name
        kind = gguf.GGMLQuantizationType.F32 if is_exact else TYPES[precision]
        writer.add_tensor(name, _quantized(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_sizes(writer: gguf.GGUFWriter, model: LanguageModel, context_length: int) -> None:
    config = model.config
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
    writer.add_context_length(context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_leading_dense_block_count(0)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_expert_count(config.num_experts)
    writer.add_expert_used_count(config.top_k)
    writer.add_expert_shared_count(config.num_shared_experts)
    writer.add_expert_weights_norm(config.norm_topk_prob)
    writer.add_expert_weights_scale(1.0)


def _tensors(model: LanguageModel) -> Iterator[tuple[str, Tensor]]:
    yield "token_embd.weight", model.word_embeddings.weight
    yield "output_norm.weight", model.norm.weight
    yield "output.weight", model.lm_head.weight
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, DecoderLayer)
        for name, tensor in _of_layer(layer):
            yield f"blk.{index}.{name}.weight", tensor


def _of_layer(layer: DecoderLayer) -> Iterator[tuple[str, Tensor]]:
    queries, keys, values = _projections(layer.attention)
    experts, shared = layer.mlp.experts, layer.mlp.shared_experts
    assert shared is not None
    yield "attn_norm", layer.input_layernorm.weight
    yield "attn_q", queries
    yield "attn_k", keys
    yield "attn_v", values
    yield "attn_output", layer.attention.dense.weight
    yield "ffn_norm", layer.post_attention_layernorm.weight
    yield "ffn_gate_inp", layer.mlp.router.gate.weight
    yield "ffn_gate_exps", experts.gate_proj
    yield "ffn_up_exps", experts.up_proj
    yield "ffn_down_exps", experts.down_proj
    yield "ffn_gate_shexp", shared.gate_proj.weight
    yield "ffn_up_shexp", shared.up_proj.weight
    yield "ffn_down_shexp", shared.down_proj.weight


def _projections(attention: Attention) -> tuple[Tensor, Tensor, Tensor]:
    sizes = [heads * attention.head_dim for heads in (attention.num_heads, *(attention.num_kv_heads,) * 2)]
    queries, keys, values = attention.query_key_value.weight.split(sizes)
    return _neighbours(queries, attention.head_dim), _neighbours(keys, attention.head_dim), values


def _neighbours(weight: Tensor, head_dim: int) -> Tensor:
    """Rows i and i + head_dim / 2 of each head become neighbours."""
    rows = weight.view(-1, 2, head_dim // 2, weight.shape[-1])
    return rows.transpose(1, 2).reshape(weight.shape)


def _quantized(values: NDArray[np.float32], kind: gguf.GGMLQuantizationType) -> NDArray[np.generic]:
    if kind == gguf.GGMLQuantizationType.F32:
        return values
    packed: NDArray[np.generic] = gguf.quants.quantize(values, kind)
    return packed
