"""What the language model, the flow head and the patching are built from, read from a checkpoint.

Every size comes from the checkpoint. Fields that this code does not know are tolerated; known fields
with values that it cannot honour are refused, because ignoring them would change the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uniaudio.errors import CheckpointError

# Variants of the family's later releases: they may only be present with their neutral value.
_NEUTRAL_LLM_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "first_k_dense_replace": (0, None),
    "hidden_act": ("silu",),
    "use_sliding_window": (False, None),
    "use_qk_norm": (False, None),
    "use_query_key_norm": (False, None),
    "score_function": ("softmax", None),
    "routed_scaling_factor": (1, 1.0, None),
    "n_group": (0, 1, None),
    "partial_rotary_factor": (1, 1.0, None),
}
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
        _check_sizes("llm_config", self, may_be_zero=("num_shared_experts",))
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
        """Reads `config.json`; raises CheckpointError naming the field that is absent or unsupported."""
        fields = _section(config, "llm_config")
        for name, accepted in _NEUTRAL_LLM_FIELDS.items():
            _refuse_unless("llm_config", fields, name, accepted)
        _check_rope_scaling(fields.get("rope_scaling"))
        num_heads = _integer("llm_config", fields, "num_attention_heads")
        hidden_size = _integer("llm_config", fields, "hidden_size")
        return cls(
            vocab_size=_integer("llm_config", fields, "vocab_size"),
            hidden_size=hidden_size,
            num_layers=_integer("llm_config", fields, "num_hidden_layers"),
            num_heads=num_heads,
            num_kv_heads=_integer("llm_config", fields, "num_key_value_heads", num_heads),
            head_dim=_integer("llm_config", fields, "head_dim", hidden_size // max(num_heads, 1)),
            num_experts=_integer("llm_config", fields, "num_experts"),
            top_k=_integer("llm_config", fields, "num_experts_per_tok"),
            moe_intermediate_size=_integer("llm_config", fields, "moe_intermediate_size"),
            num_shared_experts=_integer("llm_config", fields, "num_shared_experts", 0),
            norm_topk_prob=_flag("llm_config", fields, "norm_topk_prob", True),
            multi_gate=_flag("llm_config", fields, "multi_gate", False),
            norm_head=_flag("llm_config", fields, "norm_head", False),
            use_bias=_flag("llm_config", fields, "use_bias", False),
            use_qkv_bias=_flag("llm_config", fields, "use_qkv_bias", False),
            tie_word_embeddings=_flag("llm_config", fields, "tie_word_embeddings", False),
            rms_norm_eps=_number("llm_config", fields, "rms_norm_eps", 1e-5),
            rope_theta=_number("llm_config", fields, "rope_theta", 600000.0),
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
    num_rotary_heads: int | None = None

    def __post_init__(self) -> None:
        _check_sizes("ditar_config", self, may_be_zero=("num_rotary_heads",))
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
        fields = _section(config, "ditar_config")
        _refuse_unless("ditar_config", fields, "qk_norm", (None, "rms_norm"))
        rotary_heads = fields.get("pe_attn_head")
        return cls(
            latent_dim=latent_dim,
            patch_size=patch_size,
            condition_dim=condition_dim,
            hidden_size=_integer("ditar_config", fields, "hidden_size", 1024),
            depth=_integer("ditar_config", fields, "depth", 28),
            num_heads=_integer("ditar_config", fields, "num_heads", 16),
            mlp_ratio=_number("ditar_config", fields, "mlp_ratio", 4.0),
            qk_norm=fields.get("qk_norm") == "rms_norm",
            num_rotary_heads=None
            if rotary_heads is None
            else _integer("ditar_config", fields, "pe_attn_head"),
        )


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """How audio becomes positions: `patch_size` frames of `hop_length` samples are one position."""

    patch_size: int = 5
    hop_length: int = 320
    sample_rate: int = 16000
    latent_dim: int = 64
    unified_dim: int = 1280

    def __post_init__(self) -> None:
        _check_sizes("audio_tokenizer_config", self)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None = None
    ) -> PatchConfig:
        """Reads `config.json` and, where there is one, `preprocessor_config.json`.

        Raises CheckpointError if the two disagree or a field is absent.
        """
        audio = _section(config, "audio_tokenizer_config")
        encoder = _section(audio, "enc_kwargs", "audio_tokenizer_config.")
        semantic = _section(
            _section(audio, "semantic_module_kwargs", "audio_tokenizer_config."),
            "whisper_encoder",
            "audio_tokenizer_config.semantic_module_kwargs.",
        )
        processing = (preprocessor or {}).get("audio_tokenizer_args") or {}
        hop_length = _integer("enc_kwargs", encoder, "hop_size", 320)
        stated = _integer("audio_tokenizer_args", processing, "hop_size", hop_length)
        if stated != hop_length:
            raise CheckpointError(
                f"preprocessor_config.json: audio_tokenizer_args.hop_size {stated} differs from "
                f"config.json: audio_tokenizer_config.enc_kwargs.hop_size {hop_length}"
            )
        return cls(
            patch_size=_integer("audio_tokenizer_args", processing, "patch_size", 5),
            hop_length=hop_length,
            sample_rate=_integer("audio_tokenizer_args", processing, "sampling_rate", 16000),
            latent_dim=_integer("enc_kwargs", encoder, "latent_dim"),
            unified_dim=_integer("whisper_encoder", semantic, "n_state"),
        )

    def num_patches(self, num_samples: int) -> int:
        """Whole patches in a recording: a last frame is padded, a last patch is dropped (6.2)."""
        return -(-num_samples // self.hop_length) // self.patch_size


def _section(config: Mapping[str, Any], name: str, prefix: str = "") -> Mapping[str, Any]:
    section = config.get(name)
    if not isinstance(section, Mapping):
        raise CheckpointError(f"config.json: {prefix}{name} is missing; it describes a part of the model")
    return section


def _integer(section: str, fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = fields.get(name)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int):
        raise CheckpointError(f"config.json: {section}.{name} is {value!r}; a whole number is needed")
    return value


def _number(section: str, fields: Mapping[str, Any], name: str, default: float) -> float:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"config.json: {section}.{name} is {value!r}; a number is needed")
    return float(value)


def _flag(section: str, fields: Mapping[str, Any], name: str, default: bool) -> bool:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise CheckpointError(f"config.json: {section}.{name} is {value!r}; true or false is needed")
    return value


def _refuse_unless(section: str, fields: Mapping[str, Any], name: str, accepted: tuple[Any, ...]) -> None:
    if name in fields and fields[name] not in accepted:
        raise CheckpointError(
            f"config.json: {section}.{name} is {fields[name]!r}, which this model does not support; "
            f"supported: {', '.join(map(repr, accepted))}"
        )


def _check_rope_scaling(scaling: object) -> None:
    """`null`, "3D" and the plain kind are the same for text and audio (3.3); others change positions."""
    if scaling is None:
        return
    kind = None
    if isinstance(scaling, Mapping):
        kind = scaling.get("type", scaling.get("rope_type"))
    if kind not in ("3D", "default"):
        raise CheckpointError(
            f"config.json: llm_config.rope_scaling is {scaling!r}; supported: null or type '3D'"
        )
    if isinstance(scaling, Mapping) and scaling.get("factor") not in (None, 1, 1.0):
        raise CheckpointError(
            f"config.json: llm_config.rope_scaling.factor is {scaling['factor']!r}; supported: null"
        )


def _check_sizes(section: str, config: object, may_be_zero: tuple[str, ...] = ()) -> None:
    for name, value in vars(config).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if value < 0 or (value == 0 and name not in may_be_zero):
            raise CheckpointError(f"config.json: {section}: {name} is {value}; it must be positive")
