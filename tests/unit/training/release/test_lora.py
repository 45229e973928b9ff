"""Adapters begin as nothing, learn alone, and can be merged, saved and exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.unit.training.small_model import PATCH_SIZE, TOKENIZER, small_config, small_modules
from training.release.config import Identity, preprocessor_config
from training.release.export import export_model, export_tuned
from training.release.lora import LoraConfig, MergedWeights, add_lora, load_adapter, save_adapter
from training.weights import fill_modules, flat_weights
from uniaudio.checkpoint import Checkpoint
from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.llm.flow_head import FlowHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.state_dict_adapter import load_language_model

CONFIG = LoraConfig(rank=2, alpha=8, dropout=0.0)
NOISE = torch.Generator().manual_seed(0)
EMBEDDINGS = torch.randn(7, 16, generator=NOISE)
PATCHES = torch.randn(3, PATCH_SIZE, 6, generator=NOISE)
CONDITIONS = torch.randn(3, 16, generator=NOISE)


def outputs(modules: dict[str, nn.Module]) -> tuple[Tensor, Tensor]:
    """Hidden states of the language model, and velocities of the flow head."""
    llm, head = modules["llm"], modules["flow_head"]
    assert isinstance(llm, LanguageModel)
    assert isinstance(head, FlowHead)
    times = torch.linspace(0.1, 0.9, 3)
    return llm(EMBEDDINGS, [4, 3]), head.velocity(PATCHES, times, CONDITIONS, PATCHES.flip(0))


def adapted(config: LoraConfig = CONFIG, *, learnt: bool = True) -> dict[str, nn.Module]:
    modules = small_modules()
    names = add_lora(modules, config)
    if learnt:
        generator = torch.Generator().manual_seed(1)
        for name, value in flat_weights(modules).items():
            if name in names:
                value.copy_(0.2 * torch.randn(value.shape, generator=generator))
    return modules


def test_a_new_adapter_changes_nothing() -> None:
    for plain, with_adapters in zip(outputs(small_modules()), outputs(adapted(learnt=False)), strict=True):
        torch.testing.assert_close(with_adapters, plain, rtol=1e-5, atol=1e-6)


def test_only_adapters_learn_and_none_in_the_audio_tokenizer() -> None:
    modules = small_modules()
    names = add_lora(modules, CONFIG)
    layers = {name.rpartition(".")[0].partition(".layers.")[2].partition(".")[2] for name in names}
    assert layers == {"", "attention.query_key_value", "mlp.experts", "mlp.shared_experts.gate_proj",
                      "mlp.shared_experts.up_proj", "mlp.shared_experts.down_proj"}  # fmt: skip
    assert {name.partition(".")[0] for name in names} == {"llm", "flow_head"}
    assert {n.split(".")[-2] for n in names if n.startswith("flow_head")} == {"to_q", "to_v"}
    hidden, velocity = outputs(modules)
    (hidden.sum() + velocity.sum()).backward()
    learning = {
        f"{name}.{parameter}"
        for name, module in modules.items()
        for parameter, value in module.named_parameters()
        if value.grad is not None
    }
    assert learning <= set(names)
    assert "llm.layers.0.mlp.experts.down_proj_lora_b" in learning


def test_merged_weights_give_what_the_adapters_gave() -> None:
    modules = adapted()
    merged = small_modules(seed=3)
    fill_modules(merged, MergedWeights(flat_weights(modules), CONFIG))
    assert flat_weights(merged).keys() == MergedWeights(flat_weights(modules), CONFIG).keys()
    plain = outputs(small_modules())
    for before, expected, found in zip(plain, outputs(modules), outputs(merged), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(before, expected, atol=1e-3)


def test_dropout_acts_in_training_only() -> None:
    modules = adapted(LoraConfig(rank=2, dropout=0.5))
    first, second = outputs(modules), outputs(modules)
    assert not torch.equal(first[0], second[0])
    for module in modules.values():
        module.eval()
    assert torch.equal(outputs(modules)[0], outputs(modules)[0])


def test_bfloat16_weights_keep_float32_adapters() -> None:
    linear = nn.ModuleDict({"to_q": nn.Linear(4, 4, dtype=torch.bfloat16)})
    assert add_lora({"flow_head": linear}, CONFIG) == ["flow_head.to_q.lora_a", "flow_head.to_q.lora_b"]
    assert linear["to_q"](torch.ones(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert linear["to_q"].lora_a.dtype == torch.float32


def test_an_adapter_alone_is_enough_to_come_back(tmp_path: Path) -> None:
    modules = adapted()
    save_adapter(tmp_path / "adapter.safetensors", flat_weights(modules), CONFIG)
    config, tensors = load_adapter(tmp_path / "adapter.safetensors")
    assert config == CONFIG
    again = small_modules()
    assert sorted(add_lora(again, config)) == sorted(tensors)
    fill_modules(again, {**flat_weights(again), **tensors})
    assert torch.equal(outputs(again)[0], outputs(modules)[0])
    assert (tmp_path / "adapter.safetensors").stat().st_size < 60_000


def test_a_file_that_is_no_adapter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    for content in (None, b"short"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is not an adapter file"):
            load_adapter(path)


def test_an_adapted_model_is_exported_merged(tmp_path: Path) -> None:
    preprocessor = preprocessor_config(TOKENIZER, PATCH_SIZE)
    base = export_model(
        tmp_path / "base", flat_weights(small_modules()), small_config(), preprocessor, None,
        Identity(name="base"), dtype=torch.float32,
    )  # fmt: skip
    modules = adapted()
    tuned = Identity(name="base").edit_variant()
    with pytest.raises(InvalidInputError, match=r"lora_a has no place in the layout; merge adapters"):
        export_tuned(tmp_path / "tuned", flat_weights(modules), Checkpoint(base), tuned)
    merged = MergedWeights(flat_weights(modules), CONFIG)
    export_tuned(tmp_path / "tuned", merged, Checkpoint(base), tuned)
    hidden = load_language_model(Checkpoint(tmp_path / "tuned"))(EMBEDDINGS, [4, 3])
    torch.testing.assert_close(hidden, outputs(modules)[0], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_adapted_or_merged_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="there is nothing to adapt"):
        add_lora({"stop_head": nn.Linear(2, 2)})
    with pytest.raises(CheckpointError, match=r"llm\.x\.lora_a: its lora_b or the weight llm\.x\.weight is"):
        MergedWeights({"llm.x.lora_a": torch.zeros(2, 2)}, CONFIG)
    with pytest.raises(InvalidInputError, match=r"rank 0, alpha 32\.0"):
        LoraConfig(rank=0)
