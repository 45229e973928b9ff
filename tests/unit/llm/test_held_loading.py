"""A rank reads its own experts and nothing else of theirs, however the checkpoint holds them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.llm.state_dict_adapter import load_held_experts, load_language_model
from uniaudio.nn.held_experts import ExpertShare, HeldExperts

HELD = range(3, 6)
_EXPERT = re.compile(r"(.*\.mlp\.experts)\.(\d+)\.(\w+_proj\.weight)")


class Watched(Checkpoint):
    """Keeps which tensors, or parts of them, were read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.read: list[tuple[str, int | None]] = []

    def read_into(self, key: str, target: Tensor, *, part: int | None = None) -> None:
        self.read.append((key, part))
        super().read_into(key, target, part=part)


class Nobody:
    """Other ranks that are never asked."""

    def begin(self, layer: int, x: Tensor, ids: Tensor, results: Tensor) -> None:
        raise AssertionError

    def end(self) -> None:
        raise AssertionError


@pytest.fixture(scope="module")
def stacked(random_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with the experts of a layer in one tensor (B.3)."""
    folder = tmp_path_factory.mktemp("stacked") / "checkpoint"
    shutil.copytree(random_checkpoint, folder)
    tensors = load_file(folder / "model.safetensors")
    parts: dict[str, dict[int, Tensor]] = {}
    for key in list(tensors):
        if match := _EXPERT.match(key):
            prefix, index, rest = match.groups()
            parts.setdefault(f"{prefix}.{rest}", {})[int(index)] = tensors.pop(key)
    assert parts
    tensors |= {key: torch.stack([each[index] for index in sorted(each)]) for key, each in parts.items()}
    save_file(tensors, folder / "model.safetensors")
    return folder


def expert_of(key: str, part: int | None) -> int | None:
    match = _EXPERT.match(key)
    return int(match[2]) if match else part


@pytest.mark.parametrize("layout", ["one by one", "stacked"])
def test_only_held_experts_are_read(random_checkpoint: Path, stacked: Path, layout: str) -> None:
    checkpoint = Watched(random_checkpoint if layout == "one by one" else stacked)
    layers = list(load_held_experts(checkpoint, HELD))
    assert len(checkpoint.read) == 3 * len(HELD) * len(layers)
    assert {expert_of(*each) for each in checkpoint.read} == set(HELD)
    whole = load_language_model(Checkpoint(random_checkpoint))
    for layer, experts in zip(whole.layers, layers, strict=True):
        for name, parameter in experts.named_parameters():
            assert torch.equal(parameter, layer.mlp.experts.get_parameter(name)[HELD.start : HELD.stop])


@pytest.mark.parametrize("layout", ["one by one", "stacked"])
def test_rank_0_reads_all_but_the_others_experts(random_checkpoint: Path, stacked: Path, layout: str) -> None:
    checkpoint = Watched(random_checkpoint if layout == "one by one" else stacked)
    model = load_language_model(checkpoint, share=ExpertShare(range(2), Nobody()))
    read = {expert_of(key, part) for key, part in checkpoint.read if ".mlp.experts." in key}
    assert read == {0, 1}
    assert all(isinstance(layer.mlp.experts, HeldExperts) for layer in model.layers)
