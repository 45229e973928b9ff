"""The mixture of experts: dense where all are chosen, routed by modality, the same alone or in company."""

from __future__ import annotations

import torch
from torch import Tensor

from uniaudio.nn.moe import Experts, MixtureOfExperts, Router

DIM, NUM_EXPERTS = 12, 6


def mixture(top_k: int = 2, *, norm_topk_prob: bool = True, multi_gate: bool = True) -> MixtureOfExperts:
    torch.manual_seed(0)
    return MixtureOfExperts(
        DIM, 8, NUM_EXPERTS, top_k, 2, norm_topk_prob=norm_topk_prob, multi_gate=multi_gate
    )


def rows(count: int = 7) -> Tensor:
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_with_all_experts_chosen_it_is_a_dense_mixture_and_the_shared_expert() -> None:
    layer, x = mixture(NUM_EXPERTS), rows()
    probabilities = layer.router.gate(x).softmax(-1)
    one = torch.ones(len(x), 1)
    each = [layer.experts(x, one, torch.full((len(x), 1), e)) for e in range(NUM_EXPERTS)]
    dense = sum(probabilities[:, e : e + 1] * each[e] for e in range(NUM_EXPERTS))
    assert layer.shared_experts is not None
    torch.testing.assert_close(layer(x), dense + layer.shared_experts(x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_one_expert_keeps_its_probability_and_more_are_renormalised() -> None:
    x = rows()
    for top_k, normalize, sums_to_one in ((1, True, False), (2, True, True), (2, False, False)):
        router = Router(DIM, NUM_EXPERTS, top_k, normalize=normalize, multi_gate=False)
        weights, ids = router(x)
        assert torch.allclose(weights.sum(-1), torch.ones(len(x))) is sums_to_one
        assert (weights[:, :-1] >= weights[:, 1:]).all()
        if not sums_to_one:
            assert torch.allclose(weights, router.gate(x).softmax(-1).gather(1, ids))


@torch.no_grad()
def test_equal_routers_make_the_mask_moot_and_different_ones_change_masked_rows_only() -> None:
    layer, x = mixture(), rows()
    mask = torch.tensor([True, False, True, False, False, True, False])
    plain, masked = layer(x), layer(x, mask)
    torch.testing.assert_close(plain[~mask], masked[~mask], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(plain[mask], masked[mask])
    assert layer.router.audio_gate is not None
    layer.router.audio_gate.load_state_dict(layer.router.gate.state_dict())
    assert torch.equal(layer(x, mask), layer(x))


@torch.no_grad()
def test_without_an_audio_router_masks_are_ignored() -> None:
    layer, x = mixture(multi_gate=False), rows()
    assert torch.equal(layer(x, torch.ones(len(x), dtype=torch.bool)), layer(x))


@torch.no_grad()
def test_a_row_has_the_same_result_alone_and_in_company() -> None:
    layer, x = mixture(), rows(33)
    torch.testing.assert_close(layer(x)[5:6], layer(x[5:6]), atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_sums_are_float32_in_bfloat16_models() -> None:
    """Many experts of equal weight: adding up in bfloat16 would lose a digit; the sum does not."""
    torch.manual_seed(0)
    experts = Experts(DIM, 8, NUM_EXPERTS).bfloat16()
    x = rows(4).bfloat16()
    ids = torch.arange(NUM_EXPERTS).expand(4, -1)
    weights = torch.full((4, NUM_EXPERTS), 1 / NUM_EXPERTS)
    one = torch.ones(4, 1)
    exact = sum(experts(x, one, ids[:, e : e + 1]).float() for e in range(NUM_EXPERTS)) / NUM_EXPERTS
    # Rounded once, at the end: half a unit in the last place of bfloat16 (2^-8), and float32's own noise.
    torch.testing.assert_close(experts(x, weights, ids).float(), exact, rtol=1.01 * 2**-8, atol=1e-6)


def test_gradients_reach_routers_and_chosen_experts() -> None:
    layer = mixture()
    layer(rows(), torch.arange(7) < 3).sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
