"""Every tensor of the released layout, by key and shape, as a config describes it.

Written out from the layout's description rather than from our modules, so that the two check each
other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Shape = tuple[int, ...]


def tensor_shapes(config: dict[str, Any]) -> dict[str, Shape]:
    """Every key of the released layout and its shape, for a whole model or a standalone tokenizer."""
    if "audio_tokenizer_config" not in config:
        return dict(_tokenizer_shapes(config, ""))
    tokenizer = config["audio_tokenizer_config"]
    latent_dim = tokenizer["dec_kwargs"]["latent_dim"]
    unified_dim = tokenizer["semantic_module_kwargs"]["whisper_encoder"]["n_state"]
    dim = config["llm_config"]["hidden_size"]
    return {
        **dict(_llm_shapes(config["llm_config"])),
        **dict(_tokenizer_shapes(tokenizer, "audio.")),
        **dict(_flow_head_shapes(config["ditar_config"], dim, latent_dim)),
        "linear_proj_audio.final_layer.norm_final.weight": (unified_dim,),
        "linear_proj_audio.final_layer.linear.weight": (dim, unified_dim),
        "linear_proj_audio.final_layer.linear.bias": (dim,),
        "stop_head.weight": (2, dim),
        "stop_head.bias": (2,),
    }


def _llm_shapes(config: dict[str, Any]) -> Iterator[tuple[str, Shape]]:
    dim, expert_dim = config["hidden_size"], config["moe_intermediate_size"]
    num_experts = config["num_experts"]
    query_dim = config["num_attention_heads"] * config["head_dim"]
    fused_dim = query_dim + 2 * config["num_key_value_heads"] * config["head_dim"]
    shared_dim = expert_dim * config["num_shared_experts"]
    gates = ("gate", "image_gate", "audio_gate") if config.get("multi_gate") else ("gate",)
    yield "model.model.word_embeddings.weight", (config["vocab_size"], dim)
    yield "model.model.norm.weight", (dim,)
    yield "model.lm_head.weight", (config["vocab_size"], dim)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (dim,)
        yield prefix + "post_attention_layernorm.weight", (dim,)
        yield prefix + "attention.query_key_value.weight", (fused_dim, dim)
        if config.get("use_qkv_bias"):
            yield prefix + "attention.query_key_value.bias", (fused_dim,)
        yield prefix + "attention.dense.weight", (dim, query_dim)
        if config.get("use_bias"):
            yield prefix + "attention.dense.bias", (dim,)
        for gate in gates:
            yield f"{prefix}mlp.{gate}.weight", (num_experts, dim)
        if config.get("use_grouped_gemm"):
            yield from _gated_shapes(f"{prefix}mlp.experts.", dim, expert_dim, (num_experts,))
        else:
            for expert in range(num_experts):
                yield from _gated_shapes(f"{prefix}mlp.experts.{expert}.", dim, expert_dim)
        yield from _gated_shapes(prefix + "mlp.shared_experts.", dim, shared_dim)


def _gated_shapes(prefix: str, dim: int, inner_dim: int, leading: Shape = ()) -> Iterator[tuple[str, Shape]]:
    yield prefix + "gate_proj.weight", (*leading, inner_dim, dim)
    yield prefix + "up_proj.weight", (*leading, inner_dim, dim)
    yield prefix + "down_proj.weight", (*leading, dim, inner_dim)


def _tokenizer_shapes(config: dict[str, Any], prefix: str) -> Iterator[tuple[str, Shape]]:
    encoder, decoder = config["enc_kwargs"], config["dec_kwargs"]
    latent_dim, hop_length = decoder["latent_dim"], decoder["output_dim"]
    semantic = config["semantic_module_kwargs"]["whisper_encoder"]
    unified_dim = semantic["n_state"]
    dim = encoder["backbone"]["hidden_size"]
    yield prefix + "encoder.fc1.weight", (dim, encoder["input_dim"])
    yield from _linear_shapes(prefix + "encoder.fc2", dim, dim)
    yield from _linear_shapes(prefix + "encoder.fc3", dim, 2 * latent_dim)
    yield from _norm_shapes(prefix + "encoder.norm", dim)
    yield from _backbone_shapes(encoder["backbone"], prefix + "encoder.encoder.")
    dim = decoder["backbone"]["hidden_size"]
    yield from _linear_shapes(prefix + "decoder.fc1", latent_dim, dim)
    yield from _linear_shapes(prefix + "decoder.fc2", dim, unified_dim)
    yield from _linear_shapes(prefix + "decoder.fc3", unified_dim, dim)
    yield from _backbone_shapes(decoder["backbone"], prefix + "decoder.decoder.")
    yield from _linear_shapes(prefix + "decoder.head.out", dim, 4 * hop_length + 2)
    yield prefix + "decoder.head.istft.window", (4 * hop_length,)
    for block in range(semantic["n_layer"]):
        yield from _semantic_block_shapes(f"{prefix}decoder.semantic_model.blocks.{block}.", unified_dim)
    yield from _norm_shapes(prefix + "decoder.semantic_model.ln_post", unified_dim)


def _backbone_shapes(config: dict[str, Any], prefix: str) -> Iterator[tuple[str, Shape]]:
    dim = config["hidden_size"]
    key_dim = dim // config["num_attention_heads"] * config["num_key_value_heads"]
    yield prefix + "embed_tokens.weight", (config["vocab_size"], dim)
    yield prefix + "norm.weight", (dim,)
    for number in range(config["num_hidden_layers"]):
        layer = f"{prefix}layers.{number}."
        yield layer + "input_layernorm.weight", (dim,)
        yield layer + "post_attention_layernorm.weight", (dim,)
        yield from _linear_shapes(layer + "self_attn.q_proj", dim, dim)
        yield from _linear_shapes(layer + "self_attn.k_proj", dim, key_dim)
        yield from _linear_shapes(layer + "self_attn.v_proj", dim, key_dim)
        yield layer + "self_attn.o_proj.weight", (dim, dim)
        yield from _gated_shapes(layer + "mlp.", dim, config["intermediate_size"])


def _semantic_block_shapes(block: str, dim: int) -> Iterator[tuple[str, Shape]]:
    yield from _norm_shapes(block + "attn_ln", dim)
    yield from _norm_shapes(block + "mlp_ln", dim)
    yield block + "attn.key.weight", (dim, dim)
    for name in ("query", "value", "out"):
        yield from _linear_shapes(f"{block}attn.{name}", dim, dim)
    yield from _linear_shapes(block + "mlp.0", dim, 4 * dim)
    yield from _linear_shapes(block + "mlp.2", 4 * dim, dim)


def _flow_head_shapes(
    config: dict[str, Any], condition_dim: int, latent_dim: int
) -> Iterator[tuple[str, Shape]]:
    dim, prefix = config["hidden_size"], "flowloss.cfm.model."
    head_dim, inner_dim = dim // config["num_heads"], int(dim * config.get("mlp_ratio", 4.0))
    yield from _linear_shapes(prefix + "t_embedder.time_mlp.0", 256, dim)
    yield from _linear_shapes(prefix + "t_embedder.time_mlp.2", dim, dim)
    yield from _linear_shapes(prefix + "x_embedder", latent_dim, dim)
    yield from _linear_shapes(prefix + "c_embedder.cond_embedder", condition_dim, dim)
    yield prefix + "rotary_embed.inv_freq", (head_dim // 2,)
    for number in range(config["depth"]):
        block = f"{prefix}blocks.{number}."
        yield block + "norm1.weight", (dim,)
        yield block + "norm2.weight", (dim,)
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            yield from _linear_shapes(f"{block}attn.{name}", dim, dim)
        if config.get("qk_norm") == "rms_norm":
            yield block + "attn.q_norm.weight", (head_dim,)
            yield block + "attn.k_norm.weight", (head_dim,)
        yield from _linear_shapes(block + "mlp.ff.0.0", dim, inner_dim)
        yield from _linear_shapes(block + "mlp.ff.2", inner_dim, dim)
    yield prefix + "final_layer.norm_final.weight", (dim,)
    yield from _linear_shapes(prefix + "final_layer.linear", dim, latent_dim)


def _linear_shapes(key: str, in_dim: int, out_dim: int) -> Iterator[tuple[str, Shape]]:
    yield key + ".weight", (out_dim, in_dim)
    yield key + ".bias", (out_dim,)


def _norm_shapes(key: str, dim: int) -> Iterator[tuple[str, Shape]]:
    yield key + ".weight", (dim,)
    yield key + ".bias", (dim,)
