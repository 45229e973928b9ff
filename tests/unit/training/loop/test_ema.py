"""The average follows the weights, and puts back exactly what it replaced."""

from __future__ import annotations

import torch
from torch import nn

from training.loop.ema import WeightAverage


def test_the_decay_grows_up_to_its_limit() -> None:
    weight = nn.Parameter(torch.zeros(1))
    average = WeightAverage({"weight": weight}, decay=0.5)
    weight.data.fill_(1.0)
    average.update(0)
    assert torch.allclose(average.weights["weight"], torch.tensor([0.9]))  # decay 1 / 10
    weight.data.fill_(0.0)
    average.update(1000)
    assert torch.allclose(average.weights["weight"], torch.tensor([0.45]))  # decay 0.5


def test_weights_come_back_bit_by_bit() -> None:
    weight = nn.Parameter(torch.randn(64).to(torch.bfloat16))
    average = WeightAverage({"weight": weight}, decay=0.9)
    before = average.weights["weight"].clone()
    weight.data.add_(1.0)
    held = weight.detach().clone()
    with average.in_place():
        assert torch.equal(weight.float(), before)
    assert torch.equal(weight, held)
    assert weight.requires_grad


def test_bfloat16_weights_have_a_float32_average() -> None:
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    average = WeightAverage({"weight": weight}, decay=0.999)
    weight.data.fill_(2.0)
    for step in range(1000, 1010):
        average.update(step)  # each moves by less than bfloat16 can tell
    assert 1.0 < float(average.weights["weight"]) < 1.2
