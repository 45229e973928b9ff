"""How often something is started again."""

from __future__ import annotations

import pytest

from services.llm.restart_budget import RestartBudget
from uniaudio.errors import StartupError


def test_the_first_restart_is_immediate_and_later_ones_wait_longer() -> None:
    budget = RestartBudget("it", 5, clock=lambda: 0.0)
    assert budget.is_untouched
    assert [budget.take("a crash") for _ in range(5)] == [0, 1, 3, 7, 10]
    assert not budget.is_untouched


def test_too_many_within_ten_minutes_give_up_and_later_ones_do_not() -> None:
    now = [0.0]
    budget = RestartBudget("a rank", 2, clock=lambda: now[0])
    budget.take("x")
    budget.take("x")
    with pytest.raises(StartupError, match="a rank failed 3 times within 10 minutes, lately because y"):
        budget.take("y")
    now[0] = 601.0
    assert budget.take("y") == 0
