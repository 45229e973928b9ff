"""The routing monitor tells stable routers from collapsed and restless ones, and goes on after a restart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.monitors.routing import RoutingMonitor, routing_variance
from training.monitors.signatures import UNSTABLE_ROUTING
from uniaudio.errors import InvalidInputError

EXPERTS = 8


def counts(*shares: list[float], total: int = 1000) -> Tensor:
    """One step's counts `(layers, 1, E)`."""
    return (torch.tensor(shares)[:, None] * total).round().long()


EVEN = [1 / EXPERTS] * EXPERTS
LEANING = [0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
LEANING_BACK = LEANING[::-1]


def watched(*steps: Tensor, repeat: int = 1) -> RoutingMonitor:
    monitor = RoutingMonitor(window_steps=20, num_blocks=4)
    for index in range(repeat * len(steps)):
        monitor.add(index, steps[index % len(steps)])
    return monitor


def test_the_variance_is_that_of_all_activations_around_one() -> None:
    blocks = torch.randint(0, 50, (6, 3, 2, EXPERTS), generator=torch.Generator().manual_seed(0)) + 1
    variance = routing_variance(blocks)
    activation = blocks / blocks.sum(-1, keepdim=True).double() * EXPERTS
    torch.testing.assert_close(variance.total, (activation - 1).square().mean((0, 3)))
    torch.testing.assert_close(variance.imbalance, (activation.mean(0) - 1).square().mean(-1))


def test_even_routers_have_none() -> None:
    monitor = watched(counts(EVEN, EVEN), repeat=20)
    assert monitor.alert() is None
    assert monitor.metrics()["routing/variance"] == pytest.approx(0.0)


def test_a_leaning_router_is_named_with_its_layer() -> None:
    monitor = watched(counts(EVEN, LEANING), repeat=20)
    alert = monitor.alert()
    assert alert is not None
    assert alert.signature is UNSTABLE_ROUTING
    assert "layer 1 (text router) is 28.0% over the last 20 steps, above 5%" in alert.text
    assert "(imbalance 28.0%, fluctuation 0.0%)" in alert.text
    metrics = monitor.metrics()
    assert metrics["routing/variance/layer_0"] == pytest.approx(0.0)
    assert metrics["routing/variance/layer_1"] == pytest.approx(0.28)


def test_a_restless_router_shows_as_fluctuation() -> None:
    monitor = RoutingMonitor(window_steps=20, num_blocks=4)
    for step in range(20):
        monitor.add(step, counts(LEANING if step // 5 % 2 else LEANING_BACK))
    metrics = monitor.metrics()
    assert metrics["routing/fluctuation"] > metrics["routing/imbalance"] > 0
    assert monitor.alert() is not None


def test_tasks_that_take_turns_are_not_restless() -> None:
    """Within a block they come together: their experts may differ as long as all are used."""
    first = [2 / EXPERTS] * (EXPERTS // 2) + [0.0] * (EXPERTS // 2)
    monitor = RoutingMonitor(window_steps=24, num_blocks=4)
    for step in range(24):
        monitor.add(step, counts(first if step % 2 else first[::-1]))
    assert monitor.alert() is None


def test_no_alarm_before_a_whole_window() -> None:
    assert watched(counts(LEANING), repeat=19).alert() is None
    assert watched(counts(LEANING), repeat=20).alert() is not None


def test_a_router_that_nothing_went_through_does_not_count() -> None:
    step = torch.stack([counts(EVEN)[:, 0], torch.zeros(1, EXPERTS, dtype=torch.long)], 1)
    monitor = watched(step, repeat=20)
    assert monitor.metrics()["routing/variance"] == pytest.approx(0.0)
    assert monitor.alert() is None
    assert monitor.figure() is not None


def test_a_restart_goes_on_where_it_stopped() -> None:
    steps = [counts(EVEN, LEANING), counts(LEANING, EVEN), counts(EVEN, EVEN)]
    through = watched(*steps, repeat=11)
    first, second = watched(*steps, repeat=6), RoutingMonitor(window_steps=20, num_blocks=4)
    second.load_state(first.state())
    for index in range(18, 33):
        second.add(index, steps[index % 3])
    assert second.metrics() == through.metrics()
    assert second.figure() == through.figure()


def test_a_window_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="a window of 10 steps does not give 3 equal blocks"):
        RoutingMonitor(window_steps=10, num_blocks=3)
