"""One rank needs no network; what cannot be divided is refused; layers are found where they repeat."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.config import ParallelConfig
from training.ranks.ranks import Ranks, joined_ranks, sum_over_ranks
from training.ranks.sharding import Layout, repeated_layers
from training.stages.toy import ToyConfig, ToyStage
from uniaudio.errors import InvalidInputError


def test_one_rank_agrees_with_itself() -> None:
    with joined_ranks({}) as ranks:
        assert (ranks.rank, ranks.count, ranks.is_first) == (0, 1, True)
        assert ranks.any_of(True, False) == (True, False)
        assert ranks.gather("x") == ["x"]
        assert ranks.first("x") == "x"
        assert not torch.distributed.is_initialized()
    assert torch.equal(sum_over_ranks(torch.ones(2)), torch.ones(2))


def test_experts_need_ranks_to_be_spread_over() -> None:
    with pytest.raises(InvalidInputError, match="expert is 2 and the run has 1 ranks"):
        Layout(Ranks(), ParallelConfig(expert=2), ToyStage(ToyConfig(), 0))


def test_layers_are_the_outermost_items_of_lists() -> None:
    inner = nn.ModuleList([nn.Linear(1, 1)])
    layers = nn.ModuleList([nn.Sequential(inner), nn.Linear(1, 1), nn.Identity()])
    model = nn.ModuleDict({"embed": nn.Embedding(2, 2), "layers": layers})
    assert repeated_layers([model, layers]) == [layers[0], layers[1]]


def test_recomputed_layers_have_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        stage = ToyStage(ToyConfig(), 0)
        Layout(Ranks(), ParallelConfig(activation_checkpointing=recompute), stage)
        stage.model(torch.ones(3, 2)).square().sum().backward()
        gradients.append([parameter.grad for parameter in stage.model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)
