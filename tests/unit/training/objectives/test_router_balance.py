"""The bias evens out the experts, leaves weights and gradients alone, and is gone when it has faded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from training.objectives.router_balance import RouterBalance, RouterBalanceConfig
from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.nn.moe import MixtureOfExperts

DIM, NUM_EXPERTS = 12, 6


def lopsided() -> nn.ModuleList:
    """Two layers whose text router prefers expert 0."""
    torch.manual_seed(0)
    layers = nn.ModuleList(
        MixtureOfExperts(DIM, 8, NUM_EXPERTS, 2, 1, norm_topk_prob=True, multi_gate=True) for _ in range(2)
    )
    for layer in layers:
        assert isinstance(layer, MixtureOfExperts)
        with torch.no_grad():
            layer.router.gate.weight[0] += 0.1
    return layers


def run(layers: nn.ModuleList, x: Tensor, mask: Tensor | None = None) -> Tensor:
    for layer in layers:
        x = layer(x, mask)
    return x


def positions(count: int = 600) -> Tensor:
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(1)) + 1.0


def test_counts_are_the_choices_of_each_router() -> None:
    layers, x = lopsided(), positions(50)
    balance = RouterBalance(layers, RouterBalanceConfig(rate=0.0))
    run(layers, x, torch.arange(50) < 20)
    balance.after_step(0)
    counts = balance.tokens_per_expert
    assert counts.shape == (2, 2, NUM_EXPERTS)
    assert counts.sum(-1).tolist() == [[60, 40], [60, 40]]
    first = layers[0]
    assert isinstance(first, MixtureOfExperts)
    expected = torch.bincount(first.router.gate(x[20:]).topk(2).indices.flatten(), minlength=NUM_EXPERTS)
    assert counts[0, 0].tolist() == expected.tolist()


def test_the_load_becomes_even_and_numbers_without_bias_stay_what_they_were() -> None:
    layers, x = lopsided(), positions()
    with torch.no_grad():
        before = run(layers, x)
    balance = RouterBalance(layers, RouterBalanceConfig())
    overloads = []
    for step in range(60):
        run(layers, x)
        metrics = balance.after_step(step)
        overloads.append(metrics["routing/overload"])
    assert overloads[0] > 0.9
    assert overloads[-1] < 0.1
    assert metrics["routing/changed"] > 0.1
    with torch.no_grad():
        assert not torch.equal(run(layers, x), before)
        with balance.without_bias():
            torch.testing.assert_close(run(layers, x), before)


def test_weights_are_probabilities_whatever_the_bias() -> None:
    layers, x = lopsided(), positions(30)
    balance = RouterBalance(layers, RouterBalanceConfig(rate=0.3))
    run(layers, x)
    balance.after_step(0)
    layer = layers[0]
    assert isinstance(layer, MixtureOfExperts)
    weights, ids = layer.router(x)
    chosen = layer.router.gate(x).softmax(-1).gather(1, ids)
    torch.testing.assert_close(weights, chosen / chosen.sum(-1, keepdim=True))


def test_the_bias_fades_to_nothing_and_rests_meanwhile() -> None:
    layers, x = lopsided(), positions()
    with torch.no_grad():
        before = run(layers, x)
    balance = RouterBalance(layers, RouterBalanceConfig(rate=0.01, fade_from=20, fade_steps=10))
    for step in range(30):
        run(layers, x)
        metrics = balance.after_step(step)
        if step == 19:
            kept = balance.bias
    assert torch.equal(balance.bias, kept)
    assert metrics["routing/bias"] < float(kept.abs().max())
    with torch.no_grad():
        assert torch.equal(run(layers, x), before)


def test_state_survives() -> None:
    layers, x = lopsided(), positions()
    config = RouterBalanceConfig(rate=0.01, fade_from=5, fade_steps=4)
    balance = RouterBalance(layers, config)
    for step in range(7):
        run(layers, x)
        balance.after_step(step)
    again = lopsided()
    RouterBalance(again, config).load_state(balance.state())
    assert torch.equal(run(layers, x), run(again, x))


def test_a_restart_changes_nothing() -> None:
    whole, x = lopsided(), positions()
    balance = RouterBalance(whole, RouterBalanceConfig())
    for step in range(8):
        run(whole, x[: 100 + 50 * step])
        balance.after_step(step)
        if step == 3:
            again = lopsided()
            resumed = RouterBalance(again, RouterBalanceConfig())
            resumed.load_state(balance.state())
        elif step > 3:
            run(again, x[: 100 + 50 * step])
            resumed.after_step(step)
    assert torch.equal(resumed.bias, balance.bias)


def test_a_bias_on_probabilities_is_not_taken_for_one_on_logits() -> None:
    balance = RouterBalance(lopsided(), RouterBalanceConfig())
    old = {name: value for name, value in balance.state().items() if name != "usual_share"}
    with pytest.raises(CheckpointError, match="begin the run anew"):
        balance.load_state(old)


def test_a_step_with_few_positions_moves_the_bias_less() -> None:
    layers, x = lopsided(), positions()
    balance = RouterBalance(layers, RouterBalanceConfig())
    moves = []
    for step, count in enumerate((600, 600, 60)):
        before = balance.bias
        run(layers, x[:count])
        balance.after_step(step)
        moves.append(float((balance.bias - before)[:, 0].abs().max()))
    assert moves[2] < 0.3 * moves[1]
    assert balance.bias[:, 1].abs().sum() == 0  # no position went through the audio router
    torch.testing.assert_close(balance.bias.sum(-1), torch.zeros(2, 2), atol=1e-5, rtol=0)


def test_looks_without_gradients_are_not_counted() -> None:
    layers = lopsided()
    balance = RouterBalance(layers, RouterBalanceConfig())
    with torch.no_grad():
        run(layers, positions())
    balance.after_step(0)
    assert balance.tokens_per_expert.sum() == 0
    assert balance.bias.abs().sum() == 0


def test_a_model_without_experts_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no mixture"):
        RouterBalance(nn.Linear(2, 2), RouterBalanceConfig())
