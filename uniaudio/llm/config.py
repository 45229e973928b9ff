"""What the language model, the flow head and the patching are built from, read from a checkpoint.

Every size comes from the checkpoint. Fields that this code does not know are tolerated; known fields
with values that it cannot honour are refused, because ignoring them would change the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uniaudio.audio import framing
from uniaudio.config_fields import ConfigFields
from uniaudio.errors import CheckpointError

# Variants of the family's other releases: they may only be present with their neutral value.
_NEUTRAL_LLM_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "first_k_dense_replace": (0,),
    "hidden_act": ("silu",),
    "use_qk_norm": (False,),
    "use_query_key_norm": (False,),
    "score_function": ("softmax",),
    "routed_scaling_factor": (1,),
    "moe_router_enable_expert_bias": (False,),
    "n_group": (0, 1),
    "partial_rotary_factor": (1,),
}
# Rotary frequencies that time, height and width get, in this order (3.3); they make up half a head.
MROPE_SECTIONS = (16, 24, 24)


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """Sizes and variants of the MoE transformer (`llm_config`)."""

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    num_experts: int
    top_k: int
    moe_intermediate_size: int
    num_shared_experts: int = 0
    norm_topk_prob: bool = True
    multi_gate: bool = False
    norm_head: bool = False
    use_bias: bool = False
    use_qkv_bias: bool = False
    tie_word_embeddings: bool = False
    rms_norm_eps: float = 1e-5
    rope_theta: float = 600000.0

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise CheckpointError(
                f"config.json: llm_config.num_attention_heads {self.num_heads} is not a multiple of "
                f"num_key_value_heads {self.num_kv_heads}"
            )
        if self.top_k > self.num_experts:
            raise CheckpointError(
                f"config.json: llm_config.num_experts_per_tok {self.top_k} is above num_experts "
                f"{self.num_experts}"
            )
        if self.head_dim % 2:
            raise CheckpointError(
                f"config.json: llm_config.head_dim {self.head_dim} is odd; rotary positions need pairs"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LanguageModelConfig:
        """Reads `config.json`; raises CheckpointError naming the field that is absent or unsupported.

        Absent fields have the defaults of the published config class, released values or not.
        """
        fields = ConfigFields(config).section("llm_config")
        for name, supported in _NEUTRAL_LLM_FIELDS.items():
            fields.refuse_unless(name, supported)
        _refuse_scaled_positions(fields)
        num_heads = fields.integer("num_attention_heads")
        hidden_size = fields.integer("hidden_size")
        return cls(
            vocab_size=fields.integer("vocab_size"),
            hidden_size=hidden_size,
            num_layers=fields.integer("num_hidden_layers"),
            num_heads=num_heads,
            num_kv_heads=fields.integer("num_key_value_heads", num_heads),
            head_dim=fields.integer("head_dim", hidden_size // num_heads),
            num_experts=fields.integer("num_experts"),
            top_k=fields.integer("num_experts_per_tok"),
            moe_intermediate_size=fields.integer("moe_intermediate_size"),
            num_shared_experts=fields.integer("num_shared_experts", 0, minimum=0),
            norm_topk_prob=fields.flag("norm_topk_prob", True),
            multi_gate=fields.flag("multi_gate", False),
            norm_head=fields.flag("norm_head", False),
            use_bias=fields.flag("use_bias", True),
            use_qkv_bias=fields.flag("use_qkv_bias", False),
            tie_word_embeddings=fields.flag("tie_word_embeddings", False),
            rms_norm_eps=fields.number("rms_norm_eps", 1e-5),
            rope_theta=fields.number("rope_theta", 10000.0),
        )


@dataclass(frozen=True, kw_only=True)
class FlowHeadConfig:
    """Sizes and variants of the diffusion transformer (`ditar_config`), and what it stands between."""

    latent_dim: int
    patch_size: int
    condition_dim: int
    hidden_size: int = 1024
    depth: int = 28
    num_heads: int = 16
    mlp_ratio: float = 4.0
    qk_norm: bool = False
    num_rotary_heads: int | None = None  # the first ones rotate; None: all

    def __post_init__(self) -> None:
        if self.hidden_size % (2 * self.num_heads):
            raise CheckpointError(
                f"config.json: ditar_config.hidden_size {self.hidden_size} does not give "
                f"{self.num_heads} heads of even width"
            )
        if self.num_rotary_heads is not None and self.num_rotary_heads > self.num_heads:
            raise CheckpointError(
                f"config.json: ditar_config.pe_attn_head {self.num_rotary_heads} is above num_heads "
                f"{self.num_heads}"
            )

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], *, latent_dim: int, patch_size: int, condition_dim: int
    ) -> FlowHeadConfig:
        """Reads `config.json`; raises CheckpointError naming the field that is absent or unsupported."""
        fields = ConfigFields(config).section("ditar_config")
        fields.refuse_unless("qk_norm", ("rms_norm",))
        rotates_all = fields.values.get("pe_attn_head") is None
        return cls(
            latent_dim=latent_dim,
            patch_size=patch_size,
            condition_dim=condition_dim,
            hidden_size=fields.integer("hidden_size", 1024),
            depth=fields.integer("depth", 28),
            num_heads=fields.integer("num_heads", 16),
            mlp_ratio=fields.number("mlp_ratio", 4.0),
            qk_norm=fields.values.get("qk_norm") == "rms_norm",
            num_rotary_heads=None if rotates_all else fields.integer("pe_attn_head", minimum=0),
        )


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """How audio becomes positions: `patch_size` frames of `hop_length` samples are one position."""

    patch_size: int = 5
    hop_length: int = 320
    sample_rate: int = 16000
    latent_dim: int = 64
    unified_dim: int = 1280

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None = None
    ) -> PatchConfig:
        """Reads `config.json` and, where there is one, `preprocessor_config.json`.

        Raises CheckpointError if the two disagree or a field is absent.
        """
        audio = ConfigFields(config).section("audio_tokenizer_config")
        encoder = audio.section("enc_kwargs")
        arguments = (preprocessor or {}).get("audio_tokenizer_args") or {}
        processing = ConfigFields(arguments, "audio_tokenizer_args")
        hop_length = encoder.integer("hop_size", 320)
        stated = processing.integer("hop_size", hop_length)
        if stated != hop_length:
            raise CheckpointError(
                f"preprocessor_config.json: audio_tokenizer_args.hop_size is {stated}, but config.json: "
                f"audio_tokenizer_config.enc_kwargs.hop_size is {hop_length}"
            )
        return cls(
            patch_size=processing.integer("patch_size", 5),
            hop_length=hop_length,
            sample_rate=processing.integer("sampling_rate", 16000),
            latent_dim=encoder.integer("latent_dim"),
            unified_dim=audio.section("semantic_module_kwargs").section("whisper_encoder").integer("n_state"),
        )

    def num_patches(self, num_samples: int) -> int:
        """Whole patches in a recording: a last frame is padded, a last patch is dropped (6.2)."""
        return framing.num_patches(num_samples, self.hop_length, self.patch_size)


def _refuse_scaled_positions(fields: ConfigFields) -> None:
    """`null`, "3D" and the plain kind are the same for text and audio (3.3); others change positions."""
    if fields.values.get("rope_scaling") is None:
        return
    scaling = fields.section("rope_scaling")
    kind = scaling.values.get("type", scaling.values.get("rope_type"))
    if kind not in ("3D", "default", None):
        raise CheckpointError(f"config.json: llm_config.rope_scaling.type is {kind!r}; supported: null, '3D'")
    if kind != "3D":  # which has a factor in its config and never reads it
        scaling.refuse_unless("factor", (1,))
