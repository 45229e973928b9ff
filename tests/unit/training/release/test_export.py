"""Weights to the released layout and back: the same tensors, every key, and nothing half-written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.unit.training.small_model import (
    FLOW_HEAD,
    LANGUAGE_MODEL,
    PATCH_SIZE,
    TOKENIZER,
    small_config,
    small_modules,
)
from training.release.config import Identity, preprocessor_config, release_config, tokenizer_config
from training.release.export import export_model, export_tuned
from training.release.loading import load_release
from training.weights import StoredWeights, fill_modules, flat_weights
from uniaudio.checkpoint import Checkpoint
from uniaudio.checkpoint_layout import tensor_shapes
from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig, PatchConfig
from uniaudio.llm.state_dict_adapter import (
    load_flow_head,
    load_language_model,
    load_pooling,
    load_stop_head,
)
from uniaudio.random_model import write_random_checkpoint
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.config import TokenizerConfig

SMALL = Identity(name="small", notice="a test", takes=3, facts={"step": 7})
PREPROCESSOR = preprocessor_config(TOKENIZER, PATCH_SIZE)


def export_small(
    folder: Path, weights: dict[str, Tensor], dtype: torch.dtype = torch.float32, **changes: Any
) -> Checkpoint:
    return Checkpoint(
        export_model(folder, weights, small_config(**changes), PREPROCESSOR, None, SMALL, dtype=dtype)
    )


def loaded(checkpoint: Checkpoint, pooling: nn.Module) -> dict[str, nn.Module]:
    """What the loaders of the library make of a checkpoint."""
    tokenizer = AudioTokenizer.from_checkpoint(checkpoint)
    return {
        "encoder": tokenizer.encoder,
        "decoder": tokenizer.decoder,
        "semantic": tokenizer.semantic,
        "llm": load_language_model(checkpoint),
        "flow_head": load_flow_head(checkpoint, FLOW_HEAD),
        "stop_head": load_stop_head(checkpoint, hidden_size=LANGUAGE_MODEL.hidden_size),
        "pooling": load_pooling(
            checkpoint,
            unified_dim=TOKENIZER.unified_dim,
            hidden_size=LANGUAGE_MODEL.hidden_size,
            patch_size=PATCH_SIZE,
        ),
    }


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name, value in expected.items() if not torch.equal(found[name], value)] == []


@pytest.mark.parametrize(
    "changes",
    [{}, {"use_bias": True, "use_qkv_bias": True, "multi_gate": False}, {"num_shared_experts": 0}],
    ids=["as released", "biases, one router", "no shared expert"],
)
def test_what_is_loaded_again_is_what_was_trained(tmp_path: Path, changes: dict[str, Any]) -> None:
    modules = small_modules(**changes)
    checkpoint = export_small(tmp_path, flat_weights(modules), **changes)
    assert {k: checkpoint.shape(k) for k in checkpoint.keys()} == tensor_shapes(checkpoint.config)
    assert_equal(flat_weights(loaded(checkpoint, modules["pooling"])), flat_weights(modules))


def test_the_config_is_read_as_it_was_built() -> None:
    config = small_config()
    assert TokenizerConfig.from_config(config, PREPROCESSOR) == TOKENIZER
    assert LanguageModelConfig.from_config(config) == LANGUAGE_MODEL
    patches = PatchConfig.from_config(config, PREPROCESSOR)
    assert (patches.patch_size, patches.latent_dim) == (PATCH_SIZE, TOKENIZER.latent_dim)
    read = FlowHeadConfig.from_config(config, latent_dim=6, patch_size=PATCH_SIZE, condition_dim=16)
    assert read == FLOW_HEAD


def test_an_export_says_who_it_is(tmp_path: Path) -> None:
    checkpoint = export_small(tmp_path, flat_weights(small_modules()))
    info = checkpoint.info
    assert (info.name, info.trained, info.notice, info.takes) == ("small", True, "a test", 3)
    assert checkpoint.config["uniaudio"]["step"] == 7
    assert SMALL.edit_variant().edit_variant() == replace(SMALL, name="small-Edit")


def test_bfloat16_rounds_weights_and_leaves_tables_exact(tmp_path: Path) -> None:
    weights = flat_weights(small_modules())
    checkpoint = export_small(tmp_path, weights, torch.bfloat16)
    assert torch.equal(checkpoint.tensor("stop_head.weight"), weights["stop_head.weight"].bfloat16())
    window = checkpoint.tensor("audio.decoder.head.istft.window")
    assert torch.equal(window, weights["decoder.head.window"])
    assert checkpoint.dtype("flowloss.cfm.model.rotary_embed.inv_freq") == torch.float32
    assert checkpoint.config["torch_dtype"] == "bfloat16"


def test_shards_stay_under_their_limit_and_hold_the_same(tmp_path: Path) -> None:
    weights = flat_weights(small_modules())
    whole = export_small(tmp_path / "whole", weights)
    export_model(
        tmp_path / "cut", weights, small_config(), PREPROCESSOR, None, SMALL, dtype=torch.float32,
        max_shard_bytes=50_000,
    )  # fmt: skip
    shards = sorted((tmp_path / "cut").glob("*.safetensors"))
    assert len(shards) > 2
    assert max(path.stat().st_size for path in shards) < 60_000
    cut = Checkpoint(tmp_path / "cut")
    assert_equal({k: cut.tensor(k) for k in cut.keys()}, {k: whole.tensor(k) for k in whole.keys()})


def test_exporting_again_leaves_nothing_of_the_cut_before(tmp_path: Path) -> None:
    weights = flat_weights(small_modules())
    (tmp_path / "README.md").write_text("a model card")
    config = small_config()
    export_model(tmp_path, weights, config, PREPROCESSOR, None, SMALL, max_shard_bytes=20_000)
    export_small(tmp_path, weights)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip


def test_a_standalone_tokenizer(tmp_path: Path) -> None:
    modules = small_modules()
    export_model(
        tmp_path, flat_weights(modules), tokenizer_config(TOKENIZER), PREPROCESSOR, None, SMALL,
        dtype=torch.float32,
    )  # fmt: skip
    tokenizer = AudioTokenizer.from_checkpoint(Checkpoint(tmp_path))
    assert_equal(flat_weights({"e": tokenizer.encoder}), flat_weights({"e": modules["encoder"]}))


@pytest.mark.parametrize("grouped", [False, True], ids=["experts one by one", "experts stacked"])
def test_a_released_folder_comes_back_bit_by_bit(
    tmp_path: Path, random_checkpoint: Path, grouped: bool
) -> None:
    folder = random_checkpoint
    if grouped:
        config = Checkpoint(random_checkpoint).config
        config["llm_config"]["use_grouped_gemm"] = True
        folder = write_random_checkpoint(tmp_path / "stacked", config=config, dtype=torch.bfloat16)
    release = load_release(folder)
    export_tuned(tmp_path / "out", flat_weights(release.modules), release.checkpoint, SMALL)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (
        folder / "model.safetensors"
    ).read_bytes()
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    assert Checkpoint(tmp_path / "out").info.name == "small"


def test_only_what_was_tuned_changes(tmp_path: Path, random_checkpoint: Path) -> None:
    base = Checkpoint(random_checkpoint)
    tuned = {"stop_head.bias": torch.tensor([1.0, 2.0])}
    export_tuned(tmp_path, tuned, base, SMALL)
    out = Checkpoint(tmp_path)
    changed = [k for k in base.keys() if not torch.equal(base.tensor(k), out.tensor(k))]
    assert changed == ["stop_head.bias"]
    with pytest.raises(InvalidInputError, match="is the base checkpoint itself"):
        export_tuned(random_checkpoint, tuned, base, SMALL)


def test_what_tuning_trains(random_checkpoint: Path) -> None:
    modules = load_release(random_checkpoint).modules
    frozen = {name for name, module in modules.items() for p in module.parameters() if not p.requires_grad}
    assert frozen == {"encoder", "decoder", "semantic"}
    names = [n for n, p in modules["semantic"].named_parameters() if not p.requires_grad]
    assert names == ["projection.weight", "projection.bias"]


def test_weights_from_a_file_are_those_in_memory(tmp_path: Path) -> None:
    modules = small_modules()
    weights = flat_weights(modules)
    save_file({name: value.clone() for name, value in weights.items()}, tmp_path / "weights.safetensors")
    stored = StoredWeights(tmp_path / "weights.safetensors")
    assert_equal(dict(stored), weights)
    other = small_modules(seed=1)
    fill_modules(other, stored)
    assert_equal(flat_weights(other), weights)
    with pytest.raises(CheckpointError, match="cannot read the weights"):
        StoredWeights(tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match=r"more\.bias: not among the weights \(2 are missing\)"):
        fill_modules({"more": nn.Linear(2, 2)}, stored)
    with pytest.raises(CheckpointError, match=r"have shape \(2, 16\), the module expects \(2, 2\)"):
        fill_modules({"stop_head": nn.Linear(2, 2)}, stored)


def broken(weights: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    if how == "missing":
        del weights["llm.layers.1.mlp.experts.up_proj"]
    elif how == "shape":
        weights["flow_head.output.bias"] = torch.zeros(7)
    elif how == "shared":
        weights["semantic.projection.bias"] = weights["semantic.projection.bias"] + 1
    elif how == "nan":
        weights["pooling.linear.bias"] = torch.full((16,), torch.nan)
    return weights


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"experts\.0\.up_proj\.weight has no trained weight \(4 keys have none\)"),
        ("shape", r"flow_head\.output\.bias has shape \(7,\), but the config gives .* the shape \(6,\)"),
        ("shared", r"decoder\.projection\.bias and semantic\.projection\.bias are one tensor"),
        ("nan", r"linear_proj_audio\.final_layer\.linear\.bias has values that are not finite"),
    ],
)
def test_weights_that_no_export_should_hold_are_refused(tmp_path: Path, how: str, message: str) -> None:
    weights = broken(flat_weights(small_modules()), how)
    with pytest.raises(InvalidInputError, match=message):
        export_small(tmp_path, weights)
    assert not (tmp_path / "config.json").exists()


def test_a_tied_head_is_trained_as_one(tmp_path: Path) -> None:
    weights = flat_weights(small_modules())
    with pytest.raises(InvalidInputError, match="are one tensor in the layout but differ"):
        export_small(tmp_path, weights, tie_word_embeddings=True)
    del weights["llm.lm_head.weight"]
    checkpoint = export_small(tmp_path, weights, tie_word_embeddings=True)
    assert torch.equal(load_language_model(checkpoint).lm_head.weight, weights["llm.word_embeddings.weight"])


def test_sizes_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"flow_head\.latent_dim is 8; the released layout needs 6"):
        release_config(
            tokenizer=TOKENIZER, language_model=LANGUAGE_MODEL, end_token_id=1,
            flow_head=replace(FLOW_HEAD, latent_dim=8),
        )  # fmt: skip
    with pytest.raises(InvalidInputError, match="head_dim x num_heads is 64"):
        tokenizer_config(replace(TOKENIZER, encoder=replace(TOKENIZER.encoder, head_dim=16)))
