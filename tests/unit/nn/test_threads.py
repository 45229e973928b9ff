"""A kernel's call gets the number of threads that was faster lately, and the other is tried now and then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from uniaudio.nn.native.threads import ThreadChoice

LARGE, SMALL = 50_000_000, 1000


class Machine:
    """A clock that each call moves by what it costs there."""

    def __init__(self, *, alone: float, together: float) -> None:
        self.now, self.cost = 0.0, {1: alone, 2: together}
        self.calls: list[int] = []

    def kernel(self, threads: int) -> int:
        self.calls.append(threads)
        self.now += self.cost[threads]
        return threads


def choice_on(machine: Machine, team: Callable[[], int] = lambda: 2) -> ThreadChoice:
    return ThreadChoice(team, clock=lambda: machine.now)


def run(choice: ThreadChoice, machine: Machine, calls: int, num_products: int = LARGE) -> list[int]:
    return [choice.call(num_products, machine.kernel) for _ in range(calls)]


@pytest.mark.parametrize(("alone", "together", "faster"), [(2.0, 1.1, 2), (1.0, 4.0, 1)])
def test_the_faster_way_is_taken(alone: float, together: float, faster: int) -> None:
    machine = Machine(alone=alone, together=together)
    calls = run(choice_on(machine), machine, 400)
    assert calls.count(faster) >= 385
    assert calls[:2] == [2, 1]  # both are tried first


def test_trials_of_the_slower_way_cost_little() -> None:
    machine = Machine(alone=1.0, together=10.0)
    calls = run(choice_on(machine), machine, 2000)
    assert machine.now < 2000 * 1.06
    assert calls.count(2) > 3  # and never end


def test_a_core_that_comes_free_is_found() -> None:
    machine = Machine(alone=2.0, together=8.0)
    choice = choice_on(machine)
    run(choice, machine, 100)
    machine.cost[2] = 1.1
    assert run(choice, machine, 3000)[-1] == 2


def test_sizes_are_judged_by_themselves() -> None:
    machine = Machine(alone=1.0, together=3.0)
    choice = choice_on(machine)
    run(choice, machine, 10)
    machine.cost = {1: 3.0, 2: 1.0}
    assert run(choice, machine, 10, 64 * LARGE)[2:] == [2] * 8


def test_small_calls_and_small_teams_stay_alone() -> None:
    machine = Machine(alone=1.0, together=0.5)
    assert run(choice_on(machine), machine, 5, SMALL) == [1] * 5
    assert run(choice_on(machine, lambda: 1), machine, 5) == [1] * 5
