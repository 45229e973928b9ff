"""What the audio tokenizer is built from, read from a checkpoint (model specification A.1, A.3).

Every size comes from the checkpoint. Unknown fields are tolerated; known ones with values that
would change the numbers in a way this code does not implement are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uniaudio.config_fields import ConfigFields
from uniaudio.errors import CheckpointError

# Defaults of the Qwen2 configuration class, for fields that a config may leave out.
_ROPE_THETA = 10000.0
_RMS_NORM_EPS = 1e-6
_SLIDING_WINDOW = 4096
_MAX_WINDOW_LAYERS = 28


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """A causal Qwen2 stack; `sliding_window` is the nominal window or None for plain causal."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float = _RMS_NORM_EPS
    rope_theta: float = _ROPE_THETA
    sliding_window: int | None = None
    max_window_layers: int = _MAX_WINDOW_LAYERS

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise CheckpointError(
                f"config.json: num_attention_heads {self.num_heads} is not a multiple of "
                f"num_key_value_heads {self.num_kv_heads}"
            )
        if self.head_dim < 2 or self.head_dim % 2:
            raise CheckpointError(
                f"config.json: hidden_size {self.hidden_size} over {self.num_heads} heads gives head_dim "
                f"{self.head_dim}; rotary positions need an even one"
            )

    def windows(self, window_keys: int | None) -> tuple[int | None, ...]:
        """Keys that a query sees in each layer, itself included; None is the whole past.

        The published model ran on two attention backends that read the same config differently.
        The nominal window plus one (or None here, the default) is the one of the release: layers
        from `max_window_layers` on. Exactly the nominal window is the other: every layer.
        """
        nominal = self.sliding_window
        if nominal is None:
            return (None,) * self.num_layers
        if window_keys == nominal:
            return (nominal,) * self.num_layers
        if window_keys not in (None, nominal + 1):
            raise CheckpointError(
                f"window_keys {window_keys} does not go with sliding_window {nominal}: use {nominal + 1} "
                f"(as released) or {nominal}"
            )
        return tuple(
            nominal + 1 if layer >= self.max_window_layers else None for layer in range(self.num_layers)
        )


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The whole tokenizer: framing, latent width, two backbones and the semantic stack."""

    sample_rate: int
    input_dim: int
    hop_length: int
    latent_dim: int
    unified_dim: int
    num_semantic_layers: int
    num_semantic_heads: int
    encoder: BackboneConfig
    decoder: BackboneConfig

    def __post_init__(self) -> None:
        if self.unified_dim % (2 * self.num_semantic_heads):
            raise CheckpointError(
                f"config.json: n_state {self.unified_dim} does not give n_head {self.num_semantic_heads} "
                "heads of even width"
            )

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None = None
    ) -> TokenizerConfig:
        """Reads the config of a whole model or of a standalone tokenizer; CheckpointError names the field."""
        fields = ConfigFields(config)
        if "audio_tokenizer_config" in config:
            fields = fields.section("audio_tokenizer_config")
        encoder, decoder = fields.section("enc_kwargs"), fields.section("dec_kwargs")
        semantic = fields.section("semantic_module_kwargs").section("whisper_encoder")
        input_dim = encoder.integer("input_dim")
        hop_length = encoder.integer("hop_size", 320)
        latent_dim = encoder.integer("latent_dim")
        _require_equal(decoder, "output_dim", hop_length, "enc_kwargs.hop_size")
        _require_equal(decoder, "latent_dim", latent_dim, "enc_kwargs.latent_dim")
        arguments = (preprocessor or {}).get("audio_tokenizer_args") or {}
        return cls(
            sample_rate=ConfigFields(arguments, "audio_tokenizer_args").integer("sampling_rate", 16000),
            input_dim=input_dim,
            hop_length=hop_length,
            latent_dim=latent_dim,
            unified_dim=semantic.integer("n_state"),
            num_semantic_layers=semantic.integer("n_layer"),
            num_semantic_heads=semantic.integer("n_head"),
            encoder=_read_backbone(encoder.section("backbone")),
            decoder=_read_backbone(decoder.section("backbone")),
        )


def _read_backbone(fields: ConfigFields) -> BackboneConfig:
    fields.refuse_unless("hidden_act", ("silu",))
    _refuse_scaled_positions(fields)
    hidden_size = fields.integer("hidden_size")
    num_heads = fields.integer("num_attention_heads")
    if hidden_size % num_heads and fields.values.get("head_dim") is None:
        raise CheckpointError(
            f"config.json: {fields.path}.hidden_size {hidden_size} is not a multiple of "
            f"num_attention_heads {num_heads}"
        )
    # A window that is null, unlike one that is absent, is none.
    windowed = fields.flag("use_sliding_window", False) and fields.values.get("sliding_window", 0) is not None
    return BackboneConfig(
        hidden_size=hidden_size,
        intermediate_size=fields.integer("intermediate_size"),
        num_layers=fields.integer("num_hidden_layers"),
        num_heads=num_heads,
        num_kv_heads=fields.integer("num_key_value_heads", num_heads),
        head_dim=fields.integer("head_dim", hidden_size // num_heads),
        rms_norm_eps=fields.number("rms_norm_eps", _RMS_NORM_EPS),
        rope_theta=_read_rope_theta(fields),
        sliding_window=fields.integer("sliding_window", _SLIDING_WINDOW) if windowed else None,
        max_window_layers=fields.integer("max_window_layers", _MAX_WINDOW_LAYERS, minimum=0),
    )


def _read_rope_theta(fields: ConfigFields) -> float:
    """`rope_theta`, or its place in configs written by newer libraries, `rope_parameters`."""
    if fields.values.get("rope_theta") is None and fields.values.get("rope_parameters") is not None:
        return fields.section("rope_parameters").number("rope_theta", _ROPE_THETA)
    return fields.number("rope_theta", _ROPE_THETA)


def _refuse_scaled_positions(fields: ConfigFields) -> None:
    for name in ("rope_scaling", "rope_parameters"):
        if fields.values.get(name) is not None:
            for kind in ("type", "rope_type"):
                fields.section(name).refuse_unless(kind, ("default",))


def _require_equal(fields: ConfigFields, name: str, expected: int, other: str) -> None:
    value = fields.integer(name)
    if value != expected:
        raise CheckpointError(f"config.json: {fields.path}.{name} is {value}, but {other} is {expected}")
