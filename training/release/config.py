"""The `config.json` of a model that we built: the inverse of reading it (model specification A.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.tokenizer.config import BackboneConfig, TokenizerConfig

_MAX_POSITIONS = 32768  # of no numerical effect: rotary tables are computed where they are needed
_UNUSED_VOCABULARY = 1  # rows of the backbones' embedding tables, which no path reads
_EDIT_SUFFIX = "-Edit"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a checkpoint is: what `Checkpoint.info` tells callers, and further facts for readers."""

    name: str
    trained: bool = True
    notice: str = ""
    sampling: Mapping[str, float] = field(default_factory=dict)
    takes: int = 1
    readings: int = 1
    window_seconds: float = 0.0
    names_letters: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def edit_variant(self) -> Identity:
        """The same model after edit fine-tuning, named as the published one is."""
        return replace(self, name=self.name.removesuffix(_EDIT_SUFFIX) + _EDIT_SUFFIX)

    def section(self) -> dict[str, Any]:
        """The value of `config["uniaudio"]`."""
        told = {**self.facts, "name": self.name, "trained": self.trained, "notice": self.notice}
        if self.sampling:
            told["sampling"] = dict(self.sampling)
        if self.takes > 1:
            told["takes"] = self.takes
        if self.readings > 1:
            told["readings"] = self.readings
        if self.window_seconds:
            told["window_seconds"] = self.window_seconds
        if self.names_letters:
            told["names_letters"] = True
        return told


def tokenizer_config(config: TokenizerConfig) -> dict[str, Any]:
    """`audio_tokenizer_config`, and the whole `config.json` of a standalone tokenizer.

    Raises InvalidInputError for sizes that the layout cannot say.
    """
    return {
        "enc_kwargs": {
            "backbone": _backbone(config.encoder, "encoder"),
            "input_dim": config.input_dim,
            "hop_size": config.hop_length,
            "latent_dim": config.latent_dim,
        },
        "semantic_module_kwargs": {
            "whisper_encoder": {
                "n_state": config.unified_dim,
                "n_head": config.num_semantic_heads,
                "n_layer": config.num_semantic_layers,
            }
        },
        "dec_kwargs": {
            "backbone": _backbone(config.decoder, "decoder"),
            "output_dim": config.hop_length,
            "latent_dim": config.latent_dim,
        },
        "patch_size": -1,
    }


def release_config(
    *,
    tokenizer: TokenizerConfig,
    language_model: LanguageModelConfig,
    flow_head: FlowHeadConfig,
    end_token_id: int,
) -> dict[str, Any]:
    """`config.json` of a whole model, without its identity; reading it gives these configs again.

    Raises InvalidInputError for sizes that do not fit each other or that the layout cannot say.
    """
    _require_equal("flow_head.latent_dim", flow_head.latent_dim, tokenizer.latent_dim)
    _require_equal("flow_head.condition_dim", flow_head.condition_dim, language_model.hidden_size)
    return {
        "architectures": ["BailingMMNativeForConditionalGeneration"],
        "model_type": "bailingmm",
        "llm_config": _language_model(language_model, end_token_id),
        "audio_tokenizer_config": tokenizer_config(tokenizer),
        "ditar_config": {
            "hidden_size": flow_head.hidden_size,
            "depth": flow_head.depth,
            "num_heads": flow_head.num_heads,
            "mlp_ratio": flow_head.mlp_ratio,
            "qk_norm": "rms_norm" if flow_head.qk_norm else None,
            "pe_attn_head": flow_head.num_rotary_heads,
        },
    }


def preprocessor_config(tokenizer: TokenizerConfig, patch_size: int) -> dict[str, Any]:
    """`preprocessor_config.json`: how audio is cut."""
    return {
        "audio_tokenizer_args": {
            "hop_size": tokenizer.hop_length,
            "patch_size": patch_size,
            "sampling_rate": tokenizer.sample_rate,
        }
    }


def _language_model(config: LanguageModelConfig, end_token_id: int) -> dict[str, Any]:
    return {
        "architectures": ["BailingMoeForCausalLM"],
        "model_type": "bailing_moe",
        "hidden_act": "silu",
        "vocab_size": config.vocab_size,
        "eos_token_id": end_token_id,
        "pad_token_id": end_token_id,
        "tie_word_embeddings": config.tie_word_embeddings,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.moe_intermediate_size,  # of dense layers; there are none
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "num_experts": config.num_experts,
        "num_experts_per_tok": config.top_k,
        "num_shared_experts": config.num_shared_experts,
        "moe_intermediate_size": config.moe_intermediate_size,
        "first_k_dense_replace": 0,
        "norm_topk_prob": config.norm_topk_prob,
        "multi_gate": config.multi_gate,
        "norm_head": config.norm_head,
        "use_qkv_bias": config.use_qkv_bias,
        "use_bias": config.use_bias,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": {"type": "3D", "factor": None},
        "max_position_embeddings": _MAX_POSITIONS,
    }


def _backbone(config: BackboneConfig, name: str) -> dict[str, Any]:
    _require_equal(f"{name}.head_dim x num_heads", config.head_dim * config.num_heads, config.hidden_size)
    return {
        "model_type": "qwen2",
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "use_sliding_window": config.sliding_window is not None,
        "sliding_window": config.sliding_window,
        "max_window_layers": config.max_window_layers,
        "max_position_embeddings": _MAX_POSITIONS,
        "vocab_size": _UNUSED_VOCABULARY,
    }


def _require_equal(what: str, value: int, expected: int) -> None:
    if value != expected:
        raise InvalidInputError(
            f"{what} is {value}; the released layout needs {expected}: change the model's sizes"
        )
