"""A text model and a tokenizer become one checkpoint that the language stage begins with, every weight in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from typer.testing import CliRunner

import training.recipes.ming16b_begin as command
from tests.unit.training.small_model import FLOW_HEAD, PATCH_SIZE, TOKENIZER, small_config, small_modules
from training.recipes.ming16b_begin import begin_ming16b
from training.release.config import Identity, preprocessor_config, tokenizer_config
from training.release.export import export_model
from training.release.loading import load_release
from training.weights import flat_weights
from uniaudio.checkpoint import Checkpoint
from uniaudio.checkpoint_writer import write_json
from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.llm.config import FlowHeadConfig
from uniaudio.llm.flow_head import FlowHead

ROWS = 320  # 256 bytes and the special tokens


@pytest.fixture
def text_model(tmp_path: Path) -> Path:
    """A text model as its own release has it: one router, no tokens for audio."""
    whole = tmp_path / "whole"
    plain = {"vocab_size": ROWS, "multi_gate": False}
    preprocessor = preprocessor_config(TOKENIZER, PATCH_SIZE)
    config, weights = small_config(**plain), flat_weights(small_modules(**plain))
    export_model(
        whole, weights, config, preprocessor, None, Identity(name="whole"), dtype=torch.float32
    )  # fmt: skip
    folder, source = tmp_path / "text", Checkpoint(whole)
    folder.mkdir()
    own = {
        key.removeprefix("model."): source.tensor(key) for key in source.keys() if key.startswith("model.")
    }
    save_file(own, folder / "model.safetensors")
    write_json(folder / "config.json", config["llm_config"])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A tokenizer as `mingtok_release` writes it."""
    return export_model(
        tmp_path / "tokenizer", flat_weights(small_modules(seed=1)), tokenizer_config(TOKENIZER),
        preprocessor_config(TOKENIZER, PATCH_SIZE), None, Identity(name="mingtok"),
    )  # fmt: skip


def begin(folder: Path, text_model: Path, tokenizer: Path, run: Path | None = None) -> Path:
    return begin_ming16b(folder, text_model, tokenizer, flow_head=FLOW_HEAD, flow_head_run=run)


def test_every_weight_is_in_its_place(tmp_path: Path, text_model: Path, tokenizer: Path) -> None:
    release = load_release(begin(tmp_path / "model", text_model, tokenizer))
    found = flat_weights(release.modules)
    text = flat_weights(small_modules(vocab_size=ROWS, multi_gate=False))
    speech = flat_weights(small_modules(seed=1))
    for name, value in found.items():
        module = name.partition(".")[0]
        if module == "llm":
            expected = text[name.replace("audio_gate", "gate")]
        elif module in ("encoder", "decoder", "semantic"):
            expected = speech[name]
        else:
            continue
        assert torch.equal(value, expected.bfloat16().float()) or torch.equal(value, expected), name
    assert release.modules["llm"].config.multi_gate
    assert not release.checkpoint.info.trained


def test_special_tokens_follow_those_that_are_there(
    tmp_path: Path, text_model: Path, tokenizer: Path
) -> None:
    text = load_release(begin(tmp_path / "model", text_model, tokenizer)).text_tokenizer
    assert text.special_ids["<|endoftext|>"] == 256
    assert text.special_ids["<audio>"] < text.special_ids["<gen_audio>"] < text.special_ids["<cot_text>"]
    assert text.num_ids <= ROWS


def test_the_same_seed_draws_the_same(tmp_path: Path, text_model: Path, tokenizer: Path) -> None:
    one, again = (
        Checkpoint(begin(tmp_path / name, text_model, tokenizer)).tensor("stop_head.weight") for name in "ab"
    )
    assert torch.equal(one, again)


def flow_head_weights(**changes: int) -> dict[str, Tensor]:
    torch.manual_seed(5)
    sizes = {name: getattr(FLOW_HEAD, name) for name in FlowHeadConfig.__dataclass_fields__}
    return flat_weights({"flow_head": FlowHead(FlowHeadConfig(**{**sizes, **changes}))})


def test_a_trained_flow_head_is_taken_from_a_model_of_any_width(
    tmp_path: Path, text_model: Path, tokenizer: Path
) -> None:
    trained = flow_head_weights(condition_dim=8)
    run = tmp_path / "weights.safetensors"
    save_file(trained, run)
    found = flat_weights(load_release(begin(tmp_path / "model", text_model, tokenizer, run)).modules)
    other = {
        name for name, value in trained.items() if not torch.equal(found[name], value.bfloat16().float())
    }
    assert other == {"flow_head.condition_embedding.weight"}


def test_a_flow_head_of_another_depth_is_refused(tmp_path: Path, text_model: Path, tokenizer: Path) -> None:
    run = tmp_path / "weights.safetensors"
    save_file(flow_head_weights(depth=1), run)
    with pytest.raises(CheckpointError, match=r"flow_head\.blocks\.1\..*not among the weights"):
        begin(tmp_path / "model", text_model, tokenizer, run)


def test_too_few_rows_are_refused(tmp_path: Path, text_model: Path, tokenizer: Path) -> None:
    config = Checkpoint(text_model).config
    write_json(text_model / "config.json", {**config, "vocab_size": 270})
    with pytest.raises(InvalidInputError, match="has 270 embedding rows, 295 are needed"):
        begin(tmp_path / "model", text_model, tokenizer)


def test_weights_that_are_not_what_the_config_says_are_refused(
    tmp_path: Path, text_model: Path, tokenizer: Path
) -> None:
    config = Checkpoint(text_model).config
    write_json(text_model / "config.json", {**config, "moe_intermediate_size": 8})
    with pytest.raises(InvalidInputError, match="where it is taken from"):
        begin(tmp_path / "model", text_model, tokenizer)
    write_json(text_model / "config.json", {**config, "num_hidden_layers": 3})
    with pytest.raises(InvalidInputError, match=r"model\.model\.layers\.2\..*has no trained weight"):
        begin(tmp_path / "model", text_model, tokenizer)


def test_nothing_is_written_over_what_is_read(text_model: Path, tokenizer: Path) -> None:
    before = sorted(path.name for path in text_model.iterdir())
    with pytest.raises(InvalidInputError, match="is one of the folders to read"):
        begin(text_model, text_model, tokenizer)
    assert sorted(path.name for path in text_model.iterdir()) == before


def test_the_command_tells_what_is_missing(tmp_path: Path, tokenizer: Path) -> None:
    app = command.typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(
        app, [str(tmp_path / "out"), "--text-model", str(tmp_path / "no"), "--tokenizer", str(tokenizer)]
    )
    assert (done.exit_code, "no checkpoint directory" in done.stderr) == (1, True)
