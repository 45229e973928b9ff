"""Every size comes from the config; unknown fields pass, unsupported values are refused by path."""

from __future__ import annotations

from typing import Any

import pytest

from uniaudio.errors import CheckpointError
from uniaudio.random_model import default_config
from uniaudio.tokenizer import TokenizerConfig


@pytest.fixture
def config() -> dict[str, Any]:
    return default_config(576, {"<|endoftext|>": 1})


def test_whole_and_standalone_configs_are_the_same(config: dict[str, Any]) -> None:
    whole = TokenizerConfig.from_config(config)
    assert whole == TokenizerConfig.from_config(config["audio_tokenizer_config"])
    assert (whole.sample_rate, whole.hop_length, whole.latent_dim, whole.unified_dim) == (16000, 320, 64, 128)
    assert whole.encoder.sliding_window == 32


def test_absent_fields_have_the_class_defaults(config: dict[str, Any]) -> None:
    backbone = config["audio_tokenizer_config"]["enc_kwargs"]["backbone"]
    for name in (
        "rope_theta",
        "rms_norm_eps",
        "use_sliding_window",
        "max_window_layers",
        "num_key_value_heads",
    ):
        del backbone[name]
    del config["audio_tokenizer_config"]["enc_kwargs"]["hop_size"]
    parsed = TokenizerConfig.from_config(config)
    assert parsed.hop_length == 320
    assert parsed.encoder.rope_theta == 10000.0
    assert parsed.encoder.rms_norm_eps == 1e-6
    assert parsed.encoder.sliding_window is None
    assert parsed.encoder.num_kv_heads == 4


def test_unknown_fields_are_tolerated(config: dict[str, Any]) -> None:
    before = TokenizerConfig.from_config(config)
    config["audio_tokenizer_config"] |= {"lambda_new": 1, "hifi_gan_disc_kwargs": None}
    config["audio_tokenizer_config"]["enc_kwargs"]["backbone"]["attn_implementation"] = "flash_attention_2"
    assert TokenizerConfig.from_config(config) == before


def test_what_the_published_code_never_reads_has_no_effect(config: dict[str, Any]) -> None:
    before = TokenizerConfig.from_config(config)
    config["audio_tokenizer_config"]["patch_size"] = 4
    assert TokenizerConfig.from_config(config) == before


def test_a_null_window_is_none(config: dict[str, Any]) -> None:
    backbone = config["audio_tokenizer_config"]["enc_kwargs"]["backbone"]
    backbone |= {"use_sliding_window": True, "sliding_window": None}
    assert TokenizerConfig.from_config(config).encoder.sliding_window is None


def test_the_preprocessor_gives_the_sample_rate(config: dict[str, Any]) -> None:
    preprocessor = {"audio_tokenizer_args": {"sampling_rate": 24000}}
    assert TokenizerConfig.from_config(config, preprocessor).sample_rate == 24000


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("enc_kwargs", None, "audio_tokenizer_config.enc_kwargs is None; an object is needed"),
        ("enc_kwargs.input_dim", "320", "enc_kwargs.input_dim is '320'; a whole number from 1"),
        ("enc_kwargs.backbone.hidden_size", 0, "backbone.hidden_size is 0"),
        ("enc_kwargs.backbone.hidden_size", True, "backbone.hidden_size is True"),
        ("enc_kwargs.backbone.hidden_size", 130, "130 is not a multiple of num_attention_heads 4"),
        ("enc_kwargs.backbone.num_key_value_heads", 3, "4 is not a multiple of num_key_value_heads 3"),
        ("enc_kwargs.backbone.rms_norm_eps", -1, "rms_norm_eps is -1; a positive number"),
        ("enc_kwargs.backbone.hidden_act", "gelu", "hidden_act is 'gelu'; supported: 'silu'"),
        ("enc_kwargs.backbone.use_sliding_window", 1, "use_sliding_window is 1; true or false"),
        ("dec_kwargs.backbone.rope_scaling", {"type": "yarn"}, "rope_scaling.type is 'yarn'"),
        ("dec_kwargs.output_dim", 160, "dec_kwargs.output_dim is 160, but enc_kwargs.hop_size is 320"),
        ("dec_kwargs.latent_dim", 32, "dec_kwargs.latent_dim is 32, but enc_kwargs.latent_dim is 64"),
        ("semantic_module_kwargs.whisper_encoder.n_head", 3, "n_state 128 does not give n_head 3"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(
    config: dict[str, Any], path: str, value: object, message: str
) -> None:
    *parents, name = path.split(".")
    section = config["audio_tokenizer_config"]
    for parent in parents:
        section = section[parent]
    section[name] = value
    with pytest.raises(CheckpointError) as refused:
        TokenizerConfig.from_config(config)
    assert message in str(refused.value)
