"""The command finds recipes and runs, and its exit code says what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import typer

from training.config import BuildContext
from training.ranks.ranks import Ranks
from training.recipes.debug import debug
from training.train import (
    AGAIN,
    FAILED,
    REFUSED,
    Place,
    built_in_turn,
    chosen_runs,
    exit_code_of,
    find_recipe,
    table_of,
)
from uniaudio.errors import (
    DeadlineError,
    InvalidInputError,
    LeaseError,
    StartupError,
    StoreError,
    UnavailableError,
    UniaudioError,
)


@dataclass(frozen=True, kw_only=True)
class TurnedRanks(Ranks):
    """A rank whose waiting for the others is written down."""

    told: list[str] = field(default_factory=list)

    def wait_for_making(self) -> None:
        self.told.append("waited")


@pytest.mark.parametrize(("rank", "order"), [(0, ["built", "waited"]), (1, ["waited", "built"])])
def test_the_first_rank_builds_before_the_others(rank: int, order: list[str]) -> None:
    told: list[str] = []
    config = replace(debug(short=True)[0], build=lambda context: told.append("built"))
    context = BuildContext(seed=0, device="cpu", data=Path(), runs=Path())
    built_in_turn(config, context, TurnedRanks(rank=rank, count=2, told=told))
    assert told == order


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("the store is away"), AGAIN),
        (DeadlineError("too slow"), AGAIN),
        (InvalidInputError("no such run"), REFUSED),
        (StartupError("no GPU"), REFUSED),
        (StoreError("full"), FAILED),
        (LeaseError("taken"), FAILED),
        (UniaudioError("diverged"), FAILED),
    ],
)
def test_exit_codes(error: UniaudioError, code: int) -> None:
    assert exit_code_of(error) == code


def test_recipes_are_found_by_name() -> None:
    assert find_recipe("debug") is debug
    for name in ("nothing", "nano_sizes", "../train", ""):  # no such file, and files without a recipe
        with pytest.raises(typer.BadParameter, match=r"there are: debug, "):
            find_recipe(name)


def test_runs_are_chosen_and_shortened() -> None:
    runs = debug(short=True)
    assert [run.name for run in chosen_runs(runs, None, None)] == ["toy", "toy-critic"]
    (run,) = chosen_runs(runs, "toy-critic", 7)
    assert (run.name, run.num_steps) == ("toy-critic", 7)
    with pytest.raises(typer.BadParameter, match="there are: toy, toy-critic"):
        chosen_runs(runs, "tou", None)


def test_the_table_tells_how_far_runs_are(tmp_path: Path) -> None:
    place = Place(work=tmp_path, store="unused")
    place.folder("toy").path.mkdir(parents=True)
    place.folder("toy").finish(40, {})
    states = list(table_of(debug(short=True), place).columns[3].cells)
    assert states == ["finished at step 40", "not finished"]
