"""The audio tokenizer from every released layout, and from checkpoints that disagree with their config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.small_tokenizer import noise
from uniaudio.checkpoint import Checkpoint
from uniaudio.checkpoint_layout import tensor_shapes
from uniaudio.errors import CheckpointError
from uniaudio.random_model import write_random_checkpoint
from uniaudio.tokenizer import AudioTokenizer


@pytest.fixture(scope="module")
def whole(random_checkpoint: Path) -> AudioTokenizer:
    return AudioTokenizer.from_checkpoint(Checkpoint(random_checkpoint))


@pytest.fixture
def standalone(random_checkpoint: Path, tmp_path: Path) -> Path:
    """The same tokenizer as a repository of its own: keys without prefix, its config at the top."""
    weights = load_file(random_checkpoint / "model.safetensors")
    own = {k.removeprefix("audio."): v for k, v in weights.items() if k.startswith("audio.")}
    save_file(own, tmp_path / "model.safetensors")
    config = json.loads((random_checkpoint / "config.json").read_text())["audio_tokenizer_config"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_standalone_tokenizer_is_the_same(whole: AudioTokenizer, standalone: Path) -> None:
    alone = AudioTokenizer.from_checkpoint(Checkpoint(standalone))
    waveform, latents = noise(1, 16000), noise(1, 50, 64)
    assert torch.equal(alone.encode(waveform).mean, whole.encode(waveform).mean)
    assert torch.equal(alone.decode(latents), whole.decode(latents))
    assert torch.equal(alone.semantic(latents[0], [50]), whole.semantic(latents[0], [50]))


def test_properties(whole: AudioTokenizer) -> None:
    assert (whole.sample_rate, whole.hop_length, whole.frame_rate) == (16000, 320, 50.0)
    assert (whole.latent_dim, whole.unified_dim) == (64, 128)
    assert not any(parameter.requires_grad for parameter in whole.parameters())


@pytest.mark.parametrize("part", ["encoder", "decoder", "semantic"])
def test_parts_alone_are_the_parts_of_the_whole(
    whole: AudioTokenizer, random_checkpoint: Path, part: str
) -> None:
    alone = AudioTokenizer.from_checkpoint(Checkpoint(random_checkpoint), parts=(part,))
    if part == "encoder":
        assert torch.equal(alone.encode(noise(1, 900)).mean, whole.encode(noise(1, 900)).mean)
    elif part == "decoder":
        assert torch.equal(alone.decode(noise(1, 9, 64)), whole.decode(noise(1, 9, 64)))
    else:
        assert torch.equal(alone.semantic(noise(9, 64), [9]), whole.semantic(noise(9, 64), [9]))
    with pytest.raises(ValueError, match="loaded without its"):
        _ = alone.decoder if part != "decoder" else alone.encoder


def test_bfloat16_keeps_the_head_and_stays_close(whole: AudioTokenizer, random_checkpoint: Path) -> None:
    rough = AudioTokenizer.from_checkpoint(Checkpoint(random_checkpoint), dtype=torch.bfloat16)
    assert {p.dtype for p in rough.decoder.head.parameters()} == {torch.float32}
    assert rough.decoder.head.window.dtype == torch.float32
    assert {p.dtype for p in rough.encoder.parameters()} == {torch.bfloat16}
    latents = noise(1, 60, 64)
    exact, found = whole.decode(latents), rough.decode(latents)
    assert found.dtype == torch.float32
    assert (found - exact).square().mean() < 0.01 * exact.square().mean()
    state = rough.new_decoder_state()
    pieces = [rough.decode_stream([latents[0, :31]], [state], [False])[0]]
    pieces += rough.decode_stream([latents[0, 31:]], [state], [True])
    torch.testing.assert_close(torch.cat(pieces), found[0], atol=0.02, rtol=0)


def other_sizes() -> dict[str, Any]:
    def backbone(**changes: Any) -> dict[str, Any]:
        return {
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_attention_heads": 6,
            "num_hidden_layers": 3,
            "num_key_value_heads": 1,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1e6,
            "use_sliding_window": True,
            "sliding_window": 4,
            "max_window_layers": 1,
            "vocab_size": 7,
        } | changes

    return {
        "enc_kwargs": {"backbone": backbone(), "input_dim": 160, "hop_size": 160, "latent_dim": 5},
        "semantic_module_kwargs": {"whisper_encoder": {"n_state": 36, "n_head": 3, "n_layer": 1}},
        "dec_kwargs": {
            "backbone": backbone(hidden_size=40, num_attention_heads=2, num_key_value_heads=2),
            "output_dim": 160,
            "latent_dim": 5,
        },
        "patch_size": -1,
    }


def test_other_sizes_in_shards(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path, config=other_sizes(), max_shard_bytes=20_000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 5
    checkpoint = Checkpoint(tmp_path)
    assert {key: checkpoint.shape(key) for key in checkpoint.keys()} == tensor_shapes(other_sizes())
    tokenizer = AudioTokenizer.from_checkpoint(checkpoint)
    assert tokenizer.frame_rate == 100
    assert tokenizer.encoder.backbone.windows == (None, 5, 5)
    assert tokenizer.encode(noise(2, 16001)).mean.shape == (2, 101, 5)
    assert tokenizer.decode(noise(2, 60, 5)).shape == (2, 9600)
    assert tokenizer.semantic(noise(60, 5), [60]).shape == (60, 36)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"latent_dim": 4},
            r"encoder\.fc3\.weight: the checkpoint has shape \(10, 48\), .*expects \(8, 48\)",
        ),
        ({"num_hidden_layers": 4}, r"encoder\.encoder\.layers\.3\.\S+: missing"),
        ({"num_hidden_layers": 2}, r"encoder\.encoder\.layers\.2\.\S+: in the checkpoint with shape"),
        ({"num_key_value_heads": 2}, r"k_proj\.weight: .*\(8, 48\), the model expects \(16, 48\)"),
    ],
)
def test_a_config_that_disagrees_is_refused(tmp_path: Path, change: dict[str, int], message: str) -> None:
    config = other_sizes()
    write_random_checkpoint(tmp_path, config=config)
    if "latent_dim" in change:
        config["enc_kwargs"] |= change
        config["dec_kwargs"] |= change
    else:
        config["enc_kwargs"]["backbone"] |= change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        AudioTokenizer.from_checkpoint(Checkpoint(tmp_path))


def test_tensors_that_nothing_reads_may_be_absent(standalone: Path) -> None:
    weights = load_file(standalone / "model.safetensors")
    for key in ("encoder.norm.weight", "decoder.fc3.bias", "encoder.encoder.embed_tokens.weight"):
        del weights[key]
    save_file(weights, standalone / "model.safetensors")
    AudioTokenizer.from_checkpoint(Checkpoint(standalone))
