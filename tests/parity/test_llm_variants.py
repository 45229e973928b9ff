"""Every checkpoint of the schema loads and computes what the specification says, not only the released one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.parity import naive
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.procedure import Rules, edit, speak, understand
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import CheckpointError
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.llm.prompt import edit_prompt, speak_prompt, understanding_prompt
from uniaudio.llm.state_dict_adapter import load_flow_head, load_language_model
from uniaudio.random_model import default_config, write_random_checkpoint
from uniaudio.random_vocabulary import SPECIAL_TOKENS, train_text_tokenizer

LENGTH = 9
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def base_config() -> dict[str, Any]:
    tokenizer = train_text_tokenizer()
    config = default_config(
        tokenizer.get_vocab_size(), {name: tokenizer.token_to_id(name) for name in SPECIAL_TOKENS}
    )
    config["llm_config"] |= {"hidden_size": 32, "num_hidden_layers": 2, "moe_intermediate_size": 24}
    config["ditar_config"] |= {"hidden_size": 32}
    return config


@pytest.fixture
def write(base_config: dict[str, Any], tmp_path: Path) -> Write:
    """Writes a small checkpoint whose config differs in the given fields."""

    def write(llm: dict[str, Any] | None = None, flow: dict[str, Any] | None = None, **settings: Any) -> Path:
        config = json.loads(json.dumps(base_config))
        config["llm_config"] |= llm or {}
        config["ditar_config"] |= flow or {}
        return write_random_checkpoint(tmp_path / "checkpoint", 5, config=config, **settings)

    return write


def embeddings(size: int = 32) -> Tensor:
    return torch.randn(LENGTH, size, generator=torch.Generator().manual_seed(1))


def audio_mask() -> Tensor:
    return torch.arange(LENGTH) % 3 == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"num_experts_per_tok": 1},
        {"norm_topk_prob": False},
        {"norm_topk_prob": False, "num_experts_per_tok": 1},
        {"num_experts": 5, "num_experts_per_tok": 5, "num_shared_experts": 2},
        {"multi_gate": False},
        {"norm_head": True},
        {"use_bias": True},
        {"use_qkv_bias": True},
        {"use_grouped_gemm": True},
        {"rope_scaling": None, "rope_theta": 10000},
        {"head_dim": 16, "num_attention_heads": 6, "num_key_value_heads": 3},
        {"num_key_value_heads": 4},
        {"rms_norm_eps": 1e-2},
        {"tie_word_embeddings": True},
        {"num_shared_experts": 0},
        {"rope_scaling": {"type": "3D", "factor": 4.0}, "use_sliding_window": True, "sliding_window": 2},
    ],
    ids=lambda fields: ",".join(f"{key}={value}" for key, value in fields.items()) or "default",
)
@torch.no_grad()
def test_the_language_model_equals_the_specification(write: Write, fields: dict[str, Any]) -> None:
    checkpoint = Checkpoint(write(fields))
    model = load_language_model(checkpoint)
    hidden = model(embeddings(), [LENGTH], audio_mask=audio_mask())
    weights = load_file(checkpoint.directory / "model.safetensors")
    expected, logits = naive.language_model(
        weights, checkpoint.config["llm_config"], embeddings().double(), audio_mask()
    )
    torch.testing.assert_close(hidden.double(), expected, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(model.logits(hidden).double(), logits, atol=5e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"qk_norm": "rms_norm"},
        {"pe_attn_head": 1},
        {"pe_attn_head": 0},
        {"depth": 1, "num_heads": 2, "mlp_ratio": 1.5},
    ],
    ids=lambda fields: ",".join(f"{key}={value}" for key, value in fields.items()) or "default",
)
@pytest.mark.parametrize("patch_size", [1, 5, 6])
@torch.no_grad()
def test_the_flow_head_equals_the_specification(
    write: Write, fields: dict[str, Any], patch_size: int
) -> None:
    checkpoint = Checkpoint(write(flow=fields))
    config = FlowHeadConfig.from_config(
        checkpoint.config, latent_dim=64, patch_size=patch_size, condition_dim=32
    )
    head = load_flow_head(checkpoint, config)
    generator = torch.Generator().manual_seed(2)
    x, history = (torch.randn(1, patch_size, 64, generator=generator) for _ in range(2))
    condition = torch.randn(1, 32, generator=generator)
    weights = load_file(checkpoint.directory / "model.safetensors")
    for time in (0.0, 0.3, 1.0):
        expected = naive.velocity(
            weights,
            checkpoint.config["ditar_config"],
            x[0].double(),
            time,
            condition[0].double(),
            history[0].double(),
        )
        actual = head.velocity(x, torch.tensor([time]), condition, history)[0]
        torch.testing.assert_close(actual.double(), expected, atol=2e-5, rtol=1e-4)


def test_absent_fields_have_the_defaults_of_the_published_class(base_config: dict[str, Any]) -> None:
    config = json.loads(json.dumps(base_config))
    for name in ("use_bias", "use_qkv_bias", "rope_theta", "rms_norm_eps", "norm_head", "multi_gate"):
        config["llm_config"].pop(name, None)
    parsed = LanguageModelConfig.from_config(config)
    assert (parsed.use_bias, parsed.use_qkv_bias, parsed.norm_head, parsed.multi_gate) == (True,) + (
        False,
    ) * 3
    assert (parsed.rope_theta, parsed.rms_norm_eps) == (10000.0, 1e-5)


@pytest.mark.parametrize("stored", ["as computed", "rounded", "absent"])
@torch.no_grad()
def test_the_flow_head_turns_by_the_stored_frequencies(write: Write, stored: str) -> None:
    """A file in bfloat16 rounds them: with 32 coordinates per head one rounds, and the result moves."""
    directory = write(flow={"hidden_size": 128})
    path, key = directory / "model.safetensors", "flowloss.cfm.model.rotary_embed.inv_freq"
    weights = load_file(path)
    exact = weights.pop(key)
    used = exact.bfloat16().float() if stored == "rounded" else exact
    if stored != "absent":
        weights[key] = exact.bfloat16() if stored == "rounded" else exact
    save_file(weights, path)
    checkpoint = Checkpoint(directory)
    config = FlowHeadConfig.from_config(checkpoint.config, latent_dim=64, patch_size=5, condition_dim=32)
    head = load_flow_head(checkpoint, config)
    x, history, condition, time = torch.ones(1, 5, 64), torch.ones(1, 5, 64), torch.ones(1, 32), torch.ones(1)
    actual = head(x, time, condition, history)
    head.rotary_frequencies = used
    assert torch.equal(actual, head(x, time, condition, history)) or stored == "absent"
    torch.testing.assert_close(actual, head(x, time, condition, history), atol=1e-5, rtol=0)
    head.rotary_frequencies = exact.bfloat16().float() if stored != "rounded" else exact
    assert (actual - head(x, time, condition, history)).abs().max() > 1e-4


def test_both_expert_layouts_hold_the_same_model(write: Write) -> None:
    """A file with separate experts and one with stacked ones, made from it, load as equal models."""
    directory = write()
    separate = load_language_model(Checkpoint(directory))
    path = directory / "model.safetensors"
    weights, stacked = load_file(path), {}
    for layer in range(2):
        for name in ("gate_proj", "up_proj", "down_proj"):
            prefix = f"model.model.layers.{layer}.mlp.experts"
            experts = [weights.pop(f"{prefix}.{e}.{name}.weight") for e in range(8)]
            stacked[f"{prefix}.{name}.weight"] = torch.stack(experts)
    save_file({**weights, **stacked}, path)
    together = load_language_model(Checkpoint(directory))
    for name, parameter in separate.state_dict().items():
        assert torch.equal(parameter, together.state_dict()[name]), name


@pytest.mark.parametrize(
    ("section", "fields", "match"),
    [
        ("llm_config", {"first_k_dense_replace": 1}, "first_k_dense_replace is 1"),
        ("llm_config", {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ("llm_config", {"rope_scaling": {"type": "yarn", "factor": 4}}, "rope_scaling.type is 'yarn'"),
        ("llm_config", {"rope_scaling": {"type": "default", "factor": 4}}, "rope_scaling.factor is 4"),
        ("llm_config", {"num_experts_per_tok": 9}, "num_experts_per_tok 9 is above num_experts 8"),
        ("llm_config", {"num_key_value_heads": 3}, "not a multiple"),
        ("llm_config", {"hidden_size": None}, "llm_config.hidden_size is None"),
        ("llm_config", {"vocab_size": "many"}, "vocab_size is 'many'"),
        ("llm_config", {"norm_head": "yes"}, "norm_head is 'yes'"),
        ("ditar_config", {"qk_norm": "layer_norm"}, "qk_norm is 'layer_norm'"),
        ("ditar_config", {"pe_attn_head": 5}, "pe_attn_head 5 is above num_heads 4"),
        ("ditar_config", {"num_heads": 32}, "heads of even width"),
    ],
)
def test_what_the_config_asks_and_we_cannot_do_is_refused(
    write: Write, section: str, fields: dict[str, Any], match: str
) -> None:
    directory = write()
    rewrite_config(directory, section, fields)
    with pytest.raises(CheckpointError, match=match):
        SpeechModel.from_checkpoint(Checkpoint(directory))


def test_unknown_config_fields_are_tolerated(write: Write) -> None:
    directory = write()
    rewrite_config(directory, "llm_config", {"something_new": [1, 2]})
    assert load_language_model(Checkpoint(directory)).config.hidden_size == 32


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"num_experts": 6}, "mlp.gate.weight"),
        ({"num_hidden_layers": 1}, "layers.1."),
        ({"num_hidden_layers": 3}, "layers.2."),
        ({"use_qkv_bias": True}, "query_key_value.bias"),
        ({"moe_intermediate_size": 25}, "experts.0.gate_proj.weight"),
    ],
)
def test_config_and_weights_that_disagree_are_refused_by_key_and_shapes(
    write: Write, fields: dict[str, Any], key: str
) -> None:
    directory = write()
    rewrite_config(directory, "llm_config", fields)
    with pytest.raises(CheckpointError, match="shape") as caught:
        load_language_model(Checkpoint(directory))
    assert key in str(caught.value)


def test_a_model_that_lost_one_audio_router_is_refused(write: Write) -> None:
    directory = write()
    drop(directory, "model.model.layers.1.mlp.audio_gate.weight")
    with pytest.raises(CheckpointError, match=r"layers\.1\.mlp\.audio_gate\.weight: missing"):
        load_language_model(Checkpoint(directory))


@torch.no_grad()
def test_a_model_without_any_audio_router_ignores_masks(write: Write) -> None:
    directory = write()
    drop(directory, "audio_gate")
    model = load_language_model(Checkpoint(directory))
    masked = model(embeddings(), [LENGTH], audio_mask=audio_mask())
    assert torch.equal(masked, model(embeddings(), [LENGTH]))


def test_framing_that_disagrees_is_refused(write: Write) -> None:
    directory = write()
    framing = {"audio_tokenizer_args": {"hop_size": 160, "patch_size": 5}}
    (directory / "preprocessor_config.json").write_text(json.dumps(framing))
    with pytest.raises(CheckpointError, match="hop_size is 160"):
        SpeechModel.from_checkpoint(Checkpoint(directory))


def test_a_text_tokenizer_of_another_model_is_refused(write: Write) -> None:
    directory = write(llm={"vocab_size": 554})
    with pytest.raises(CheckpointError, match=r"tokenizer\.json has \d+ ids"):
        SpeechModel.from_checkpoint(Checkpoint(directory))


@pytest.mark.parametrize("patch_size", [2, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_whole_procedures_run_with_other_patch_sizes_and_in_bfloat16(
    write: Write, patch_size: int, dtype: torch.dtype
) -> None:
    directory = write(llm={"use_grouped_gemm": True}, dtype=dtype)
    framing = {"audio_tokenizer_args": {"hop_size": 320, "patch_size": patch_size}}
    (directory / "preprocessor_config.json").write_text(json.dumps(framing))
    model = SpeechModel.from_checkpoint(Checkpoint(directory), dtype=dtype)
    assert model.dtype is dtype
    latents = torch.randn(15, 64, generator=torch.Generator().manual_seed(3))
    num_patches, tokenizer = 15 // patch_size, model.text_tokenizer
    result = understand(model, understanding_prompt(tokenizer, num_patches), [latents], max_tokens=4)
    assert 1 <= len(result.token_ids) <= 4
    rules = Rules(min_patches=3, max_patches=3, max_tokens=64)
    spoken = speak(
        model,
        speak_prompt(tokenizer, "hello", prompt_text="Hi.", num_patches=num_patches),
        latents,
        noise=SeededNoise(1),
        rules=rules,
    )
    assert spoken.patches.shape == (3, patch_size, 64)
    assert spoken.patches.dtype is torch.float32
    assert spoken.patches.isfinite().all()
    assert spoken.embeddings.shape == (2, 32)
    edited = edit(
        model,
        edit_prompt(tokenizer, "denoise the audio", num_patches, reasoning=False),
        latents,
        noise=SeededNoise(1),
        rules=rules,
    )
    assert edited.text.text.endswith("<gen_audio>")
    assert edited.speech.patches.isfinite().all()


def rewrite_config(directory: Path, section: str, fields: dict[str, Any]) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config[section] |= fields
    path.write_text(json.dumps(config))


def drop(directory: Path, part_of_key: str) -> None:
    path = directory / "model.safetensors"
    save_file({key: value for key, value in load_file(path).items() if part_of_key not in key}, path)
