"""The published speaker embedding: its checkpoint's names, what is refused, what it computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.unit.evaluation.ears import Ear
from uniaudio.errors import CheckpointError
from uniaudio.evaluation.judge_wavlm import SpeakerEmbedding, WavLmJudge
from uniaudio.evaluation.wavlm import WavLm, WavLmConfig, _buckets

TINY = WavLmConfig(
    conv_dim=16, dim=32, num_layers=2, num_heads=4, hidden=48, position_kernel=8, position_groups=4,
    num_buckets=32, max_distance=80,
)  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A checkpoint in the published form: the trunk behind a prefix, and what the embedding does not use."""
    torch.manual_seed(0)
    own = SpeakerEmbedding(TINY).state_dict()
    published = {name.replace("trunk.", "feature_extract.model."): value for name, value in own.items()}
    unused = ("feature_extract.model.mask_emb", "loss_calculator.projection.weight")
    return published | {name: torch.zeros(32) for name in unused}


def write(path: Path, weights: dict[str, torch.Tensor]) -> Path:
    torch.save({"model": weights}, path)
    return path


def test_names_are_the_published_ones(weights: dict[str, torch.Tensor]) -> None:
    for name in (
        "feature_extract.model.feature_extractor.conv_layers.0.2.1.weight",
        "feature_extract.model.encoder.pos_conv.0.weight_g",
        "feature_extract.model.encoder.layers.0.self_attn.relative_attention_bias.weight",
        "feature_extract.model.encoder.layers.1.self_attn.grep_linear.bias",
        "layer2.Res2Conv1dReluBn.convs.6.weight",
        "layer4.SE_Connect.linear2.bias",
        "pooling.linear1.weight",
    ):
        assert name in weights, name
    assert "feature_extract.model.encoder.layers.1.self_attn.relative_attention_bias.weight" not in weights


def test_large_sizes() -> None:
    with torch.device("meta"):
        net = SpeakerEmbedding(WavLmConfig())
    assert 310e6 < sum(parameter.numel() for parameter in net.trunk.parameters()) < 320e6
    assert net.linear.weight.shape == (256, 3072)


def test_hidden_states_are_those_of_a_second_implementation() -> None:
    """The mean size of every state, by the WavLM of transformers 5.24 given the same weights and waveform."""
    generator = torch.Generator().manual_seed(7)
    net = WavLm(TINY).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
        states = net(torch.randn(6000, generator=generator))
    assert states.shape == (3, 18, 32)
    expected = torch.tensor([0.21571666, 0.42309311, 0.19948633])
    torch.testing.assert_close(states.abs().mean((1, 2)), expected, rtol=1e-4, atol=1e-5)


def test_buckets_tell_direction_and_distance() -> None:
    buckets = _buckets(100, TINY, torch.device("cpu"))
    assert buckets[0, :4].tolist() == [0, 17, 18, 19]
    assert buckets[3, 0] == 3
    assert int(buckets.max()) == 31
    assert buckets[0, 99] == buckets[0, 90] == 31, "far is one bucket"


def test_a_checkpoint_judges_voices(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    judge = WavLmJudge(write(tmp_path / "wavlm.pth", weights), TINY)
    ear = Ear()
    vectors = [judge.embed(ear.say(tmp_path / f"{n}.wav", "x", f0=100.0 + 60 * n)) for n in range(2)]
    assert vectors[0].shape == (256,)
    assert float(vectors[0] @ vectors[0]) == pytest.approx(1)
    assert float(vectors[0] @ vectors[1]) < 1
    assert (judge.card.metric, len(judge.card.weights_sha256)) == ("sim_wavlm", 64)


def test_other_files_are_refused(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    less = {name: value for name, value in weights.items() if name != "linear.bias"}
    with pytest.raises(CheckpointError, match=r"linear\.bias is missing"):
        WavLmJudge(write(tmp_path / "a.pth", less), TINY)
    torch.save({"weights": {}}, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match="entry 'model'"):
        WavLmJudge(tmp_path / "b.pth", TINY)
    (tmp_path / "c.pth").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="no torch checkpoint"):
        WavLmJudge(tmp_path / "c.pth", TINY)
    with pytest.raises(CheckpointError, match="does not exist"):
        WavLmJudge(tmp_path / "d.pth", TINY)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    torch.save({"model": Path("/")}, tmp_path / "code.pth")
    with pytest.raises(CheckpointError, match="plain weights"):
        WavLmJudge(tmp_path / "code.pth", TINY)
