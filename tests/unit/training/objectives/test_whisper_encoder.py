"""Whisper's encoder: its front end's known numbers, both layouts on disk, and what the student takes over."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from training.objectives.whisper_encoder import (
    WhisperConfig,
    WhisperEncoder,
    initialise_semantic,
    sinusoids,
)
from training.objectives.whisper_mel import log_mel, slaney_filters
from training.objectives.whisper_weights import hugging_face_key, load_whisper_encoder, openai_key
from uniaudio.errors import CheckpointError, LimitExceededError
from uniaudio.tokenizer.semantic import SemanticModule

CONFIG = WhisperConfig(num_mels=8, dim=16, num_heads=2, num_layers=2, num_positions=25)


@pytest.fixture
def whisper():
    torch.manual_seed(0)
    return WhisperEncoder(CONFIG).eval()


def waveform(num_samples, num_items=2):
    return 0.1 * torch.randn(num_items, num_samples, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("num_mels", [80, 128])
def test_filters_have_equal_areas_and_cover_the_band(num_mels):
    filters = slaney_filters(num_mels, 4096)
    assert filters.shape == (num_mels, 2049)
    torch.testing.assert_close(filters.sum(1), torch.full((num_mels,), 4096 / 16000), rtol=0.1, atol=0)
    assert (filters[:, 5:-5].sum(0) > 0).all()


def test_the_first_filters_have_the_published_values():
    filters = slaney_filters(80, 400)
    assert filters[0, 1].item() == pytest.approx(0.02486259, abs=1e-7)
    assert filters[1, 1].item() == pytest.approx(0.00199082, abs=1e-7)
    assert filters[1, 2].item() == pytest.approx(0.02287177, abs=1e-7)


def test_log_mel_has_a_floor_of_80_db_below_the_peak_and_100_frames_a_second():
    tone = torch.sin(torch.arange(16000) * 0.3)[None] * torch.tensor([[1.0], [0.01]])
    mel = log_mel(tone, 80)
    assert mel.shape == (2, 80, 100)
    torch.testing.assert_close(mel.amax((1, 2)) - mel.amin((1, 2)), torch.full((2,), 2.0))
    # The second is 40 dB softer, which is 1 in these units.
    torch.testing.assert_close(mel[0].amax() - mel[1].amax(), torch.tensor(1.0))


def test_one_feature_for_every_20_ms_begun(whisper):
    assert whisper(waveform(321)).shape == (2, 2, 16)
    assert whisper(waveform(25 * 320)).shape == (2, 25, 16)
    assert whisper.output_dim == 16
    with pytest.raises(LimitExceededError, match=r"0\.5 s"):
        whisper(waveform(25 * 320 + 1))


def test_every_feature_hears_the_whole_recording(whisper):
    short = waveform(4000)
    longer = torch.cat((short, waveform(2000)), 1)
    assert (whisper(longer)[:, 0] - whisper(short)[:, 0]).abs().max() > 1e-5


def test_items_of_a_batch_do_not_depend_on_each_other(whisper):
    both = whisper(waveform(3200))
    torch.testing.assert_close(whisper(waveform(3200)[1:]), both[1:])


def test_positions_begin_with_zero_phase_and_end_slow():
    table = sinusoids(25, 16)
    assert table[0].tolist() == [0.0] * 8 + [1.0] * 8
    torch.testing.assert_close(table[1, 7], torch.tensor(1e-4))


@pytest.mark.parametrize("layout", ["openai", "hugging_face", "bare_encoder"])
def test_both_layouts_give_the_same_encoder(whisper, layout, tmp_path):
    weights = whisper.state_dict()
    if layout == "openai":
        path = tmp_path / "tiny.pt"
        dims = {
            "n_mels": 8,
            "n_audio_ctx": 25,
            "n_audio_state": 16,
            "n_audio_head": 2,
            "n_audio_layer": 2,
            "n_vocab": 10,
        }
        stored = {openai_key(name): value for name, value in weights.items()} | {
            "decoder.ln.weight": torch.ones(2)
        }
        torch.save({"dims": dims, "model_state_dict": stored}, path)
    else:
        path = tmp_path
        removed = "model.encoder." if layout == "bare_encoder" else ""
        save_file(
            {hugging_face_key(n).removeprefix(removed): v.contiguous() for n, v in weights.items()},
            path / "model.safetensors",
        )
        config = {
            "d_model": 16,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "num_mel_bins": 8,
            "max_source_positions": 25,
        }
        (path / "config.json").write_text(json.dumps(config))
    loaded = load_whisper_encoder(path)
    assert torch.equal(loaded(waveform(3200)), whisper(waveform(3200)))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_known_keys_of_both_layouts():
    assert openai_key("blocks.3.attention.key.weight") == "encoder.blocks.3.attn.key.weight"
    assert openai_key("blocks.0.contract.bias") == "encoder.blocks.0.mlp.2.bias"
    assert openai_key("norm.weight") == "encoder.ln_post.weight"
    assert hugging_face_key("position_embeddings") == "model.encoder.embed_positions.weight"
    assert hugging_face_key("blocks.1.attention.out.bias") == "model.encoder.layers.1.self_attn.out_proj.bias"


def test_files_that_are_no_whisper_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read"):
        load_whisper_encoder(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(CheckpointError, match="fetch it again"):
        load_whisper_encoder(tmp_path / "text.pt")
    torch.save({"state": 1}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="model_state_dict"):
        load_whisper_encoder(tmp_path / "other.pt")
    dims = {"n_mels": 8, "n_audio_ctx": 25, "n_audio_state": 16, "n_audio_head": 2, "n_audio_layer": 2}
    torch.save({"dims": dims, "model_state_dict": {}}, tmp_path / "empty.pt")
    with pytest.raises(CheckpointError, match=r"encoder\.\S+ is missing"):
        load_whisper_encoder(tmp_path / "empty.pt")


def test_the_student_takes_over_blocks_and_last_norm(whisper):
    semantic = SemanticModule(nn.Linear(4, 8), 16, 2, 2)
    initialise_semantic(semantic, whisper)
    assert torch.equal(semantic.blocks[1].attention.key.weight, whisper.blocks[1].attention.key.weight)
    assert torch.equal(semantic.norm.bias, whisper.norm.bias)
    # Copied, not shared: the teacher stays what it is.
    assert semantic.norm.weight.data_ptr() != whisper.norm.weight.data_ptr()


def test_a_student_of_other_sizes_is_refused(whisper):
    for layers, heads in ((3, 2), (2, 4)):
        with pytest.raises(CheckpointError, match="this Whisper has"):
            initialise_semantic(SemanticModule(nn.Linear(4, 8), 16, layers, heads), whisper)
