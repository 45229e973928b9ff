"""Experts spread over holders give the bits that all of them give together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from uniaudio.nn.held_experts import HeldExperts, held_experts, places_of
from uniaudio.nn.moe import Experts
from uniaudio.nn.native.held import PackedHeldExperts
from uniaudio.nn.native.library import kernels_reason
from uniaudio.nn.native.packed import Activation, Affine, Precision, StackShape

NUM_EXPERTS, TOP_K, DIM, INNER = 5, 3, 32, 48


class Others:
    """The other holders, in this very process."""

    def __init__(self, holders: list[tuple[range, Callable[[Tensor, Tensor], Tensor]]]) -> None:
        self.holders = holders
        self.work: Callable[[], None] = lambda: None

    def begin(self, layer: int, x: Tensor, ids: Tensor, results: Tensor) -> None:
        def work() -> None:
            for held, apply in self.holders:
                results[places_of(held, ids)] = apply(x, ids)

        self.work = work

    def end(self) -> None:
        self.work()


@pytest.fixture
def experts() -> Experts:
    torch.manual_seed(0)
    return Experts(DIM, INNER, NUM_EXPERTS)


def part_of(experts: Experts, held: range, others: Others | None = None) -> HeldExperts:
    part = HeldExperts(DIM, INNER, held, 0, others)
    for name, parameter in experts.named_parameters():
        setattr(part, name, nn.Parameter(parameter.detach()[held.start : held.stop].clone()))
    return part


def routing(num_rows: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_rows)
    x = torch.randn(num_rows, DIM, generator=generator)
    weights, ids = torch.rand(num_rows, NUM_EXPERTS, generator=generator).topk(TOP_K)
    return x, weights, ids


@pytest.mark.parametrize("num_ranks", range(1, NUM_EXPERTS + 1))
def test_every_expert_has_one_holder_and_no_holder_is_idle(num_ranks: int) -> None:
    shares = [held_experts(NUM_EXPERTS, rank, num_ranks) for rank in range(num_ranks)]
    assert [expert for share in shares for expert in share] == list(range(NUM_EXPERTS))
    assert min(map(len, shares)) >= NUM_EXPERTS // num_ranks


@torch.no_grad()
@pytest.mark.parametrize("num_ranks", [1, 2, 4])
@pytest.mark.parametrize("num_rows", [0, 1, 17])
def test_spread_modules_give_the_same_bits(experts: Experts, num_ranks: int, num_rows: int) -> None:
    shares = [held_experts(NUM_EXPERTS, rank, num_ranks) for rank in range(num_ranks)]
    others = Others([(held, part_of(experts, held).results) for held in shares[1:]])
    x, weights, ids = routing(num_rows)
    assert torch.equal(part_of(experts, shares[0], others)(x, weights, ids), experts(x, weights, ids))


@torch.no_grad()
@pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))
@pytest.mark.parametrize("precision", list(Precision))
def test_a_share_in_the_kernels_layout_gives_the_bits_of_all(experts: Experts, precision: Precision) -> None:
    shape = StackShape(
        dim=DIM,
        num_heads=1,
        num_kv_heads=1,
        head_dim=32,
        num_layers=1,
        frequencies=torch.ones(16).double().numpy(),
        eps=1e-6,
        activation=Activation.SILU_GATE,
        num_experts=NUM_EXPERTS,
        top_k=TOP_K,
    )

    def packed(held: range) -> PackedHeldExperts:
        weights = [
            (Affine(torch.cat((gate, up)), is_gated=True), Affine(down))
            for gate, up, down in zip(experts.gate_proj, experts.up_proj, experts.down_proj, strict=True)
        ]
        return PackedHeldExperts(shape, held, [weights[held.start : held.stop]], precision)

    x, _, ids = routing(17)
    x, ids = x.to(precision.rows_dtype), ids.int()
    whole = packed(range(NUM_EXPERTS)).results(0, x, ids)
    for held in (range(2), range(2, 5), range(4, 5)):
        assert torch.equal(packed(held).results(0, x, ids), whole[places_of(held, ids)])
    if precision is Precision.FLOAT32:
        expected = part_of(experts, range(NUM_EXPERTS)).results(x, ids.long())
        torch.testing.assert_close(whole, expected, atol=1e-5, rtol=1e-4)
