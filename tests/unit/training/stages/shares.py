"""What every stage owes: a step divided among shares counts the same as a step in one piece."""

from __future__ import annotations

import torch

from training.stage import Share, Stage


def assert_shares_add_up(stage: Stage, player: str, step: int, *, count: int, **tolerance: float) -> None:
    """The losses and measures of a step's shares sum to those of the whole step."""
    whole = stage.loss(player, stage.batch(step, Share()), step)
    parts = [stage.loss(player, stage.batch(step, Share(index=i, count=count)), step) for i in range(count)]
    torch.testing.assert_close(sum(part.value for part in parts), whole.value, **tolerance)
    for name, value in whole.metrics.items():
        torch.testing.assert_close(sum(part.metrics[name] for part in parts), value, **tolerance)
