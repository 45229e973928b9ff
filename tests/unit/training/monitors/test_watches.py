"""Each failure signature shows in the case it describes, and not in those beside it."""

from __future__ import annotations

from typing import Any

import pytest

from training.monitors.distillation import DistillationWatch
from training.monitors.drift import DriftWatch
from training.monitors.pooling import PoolingWatch
from training.monitors.signatures import Watch
from training.monitors.triplets import TripletWatch
from uniaudio.errors import InvalidInputError

PNG = b"\x89PNG"


def drift(understanding: list[float], generation: list[float]) -> DriftWatch:
    watch = DriftWatch()
    for look, (heard, made) in enumerate(zip(understanding, generation, strict=True)):
        watch.add(1000 * look, understanding_error=heard, generation_error=made)
    return watch


def test_understanding_that_falls_while_generation_improves_is_drift() -> None:
    watch = drift([0.2, 0.05, 0.06, 0.07], [1.5, 1.4, 1.3, 1.2])
    alert = watch.alert()
    assert alert is not None
    assert "since step 1000 the understanding error rose from 0.05 to 0.07" in alert.text
    assert "the generation error fell from 1.4 to 1.2" in alert.text
    assert "Freeze the semantic module" in alert.text
    assert watch.metrics() == {
        "drift/understanding": pytest.approx(0.4),
        "drift/generation": pytest.approx(-1 / 7),
    }


@pytest.mark.parametrize(
    ("understanding", "generation"),
    [
        ([0.2, 0.1, 0.05, 0.04], [1.5, 1.4, 1.3, 1.2]),
        ([0.2, 0.05, 0.06, 0.07], [1.5, 1.4, 1.4, 1.41]),
        ([0.2, 0.05, 0.05, 0.07], [1.5, 1.4, 1.3, 1.2]),
        ([0.2, 0.001, 0.003, 0.004], [1.5, 1.4, 1.3, 1.2]),
    ],
    ids=["both improve", "both get worse", "one look only", "next to nothing"],
)
def test_what_is_not_drift(understanding: list[float], generation: list[float]) -> None:
    assert drift(understanding, generation).alert() is None


def distillation(alignment: list[float], mse: float) -> DistillationWatch:
    watch = DistillationWatch()
    for look, loss in enumerate(alignment):
        watch.add(500 * look, alignment_loss=loss, teacher_mse=mse)
    return watch


STANDING_STILL = [3.0, 2.9, 2.88, 2.87, 2.87, 2.86]


def test_a_unified_stage_that_stands_still_far_from_its_teacher_is_told_why() -> None:
    alert = distillation(STANDING_STILL, 0.09).alert()
    assert alert is not None
    assert "began at a held-out MSE of 0.09 to the teacher, where the gate is 0.1" in alert.text


@pytest.mark.parametrize(
    ("alignment", "mse"),
    [
        (STANDING_STILL, 0.02),
        ([3.0, 2.6, 2.3, 2.0, 1.8, 1.7], 0.09),
        ([3.0, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3], 0.09),
        ([3.0, 3.0], 0.09),
    ],
    ids=["near the teacher", "still falling", "converged", "too early to tell"],
)
def test_what_is_not_incomplete_distillation(alignment: list[float], mse: float) -> None:
    assert distillation(alignment, mse).alert() is None


def triplets(aligned: tuple[int, int], misaligned: tuple[int, int]) -> TripletWatch:
    """(right, of all) for edits within 20 ms, and for others."""
    watch = TripletWatch()
    errors = [0.004] * aligned[1] + [-0.05] * misaligned[1]
    right = [i < aligned[0] for i in range(aligned[1])] + [i < misaligned[0] for i in range(misaligned[1])]
    watch.look(7000, errors, right)
    return watch


def test_edits_that_fail_where_triplets_are_off_are_told_apart() -> None:
    watch = triplets((90, 100), (18, 30))
    alert = watch.alert()
    assert alert is not None
    assert "60% of 30 edits are right whose boundaries are off by more than 20 ms, 90% of 100" in alert.text
    assert watch.metrics()["triplets/misaligned"] == pytest.approx(30 / 130)


@pytest.mark.parametrize(
    ("aligned", "misaligned"), [((90, 100), (26, 30)), ((90, 100), (1, 5)), ((100, 100), (0, 0))]
)
def test_what_is_not_misalignment(aligned: tuple[int, int], misaligned: tuple[int, int]) -> None:
    assert triplets(aligned, misaligned).alert() is None


def test_as_many_verdicts_as_errors() -> None:
    with pytest.raises(InvalidInputError, match="2 boundary errors for 1 edits"):
        TripletWatch().look(0, [0.0, 0.1], [True])


def pooling(small: float, large: float) -> PoolingWatch:
    watch = PoolingWatch()
    for step, factor in ((100, 2.0), (200, 1.0)):
        watch.add(step, 1, factor * small)
        watch.add(step, 5, factor * large)
    return watch


def test_a_larger_patch_that_costs_understanding() -> None:
    watch = pooling(0.05, 0.08)
    alert = watch.alert()
    assert alert is not None
    assert "0.08 with 5 frames a patch and 0.05 with 1" in alert.text
    assert watch.metrics()["pooling/cost"] == pytest.approx(0.6)
    with pytest.raises(InvalidInputError, match=r"patch_size is 3; watched are \(1, 5\)"):
        watch.add(300, 3, 0.1)


@pytest.mark.parametrize(("small", "large"), [(0.05, 0.052), (0.05, 0.04), (0.001, 0.004)])
def test_what_costs_nothing(small: float, large: float) -> None:
    assert pooling(small, large).alert() is None


def test_the_smaller_patch_alone_says_nothing() -> None:
    watch = PoolingWatch()
    watch.add(0, 1, 0.1)
    assert watch.alert() is None


@pytest.mark.parametrize(
    ("full", "empty"),
    [
        (drift([0.2, 0.05, 0.06, 0.07], [1.5, 1.4, 1.3, 1.2]), DriftWatch()),
        (distillation(STANDING_STILL, 0.09), DistillationWatch()),
        (triplets((90, 100), (18, 30)), TripletWatch()),
        (pooling(0.05, 0.08), PoolingWatch()),
    ],
    ids=lambda watch: type(watch).__name__,
)
def test_every_watch_draws_itself_and_survives_a_restart(full: Any, empty: Any) -> None:
    first: Watch = full
    second: Watch = empty
    assert (second.figure(), dict(second.metrics()), second.alert()) == (None, {}, None)
    second.load_state(first.state())
    assert second.alert() == first.alert() is not None
    assert second.metrics() == first.metrics()
    picture = second.figure()
    assert picture is not None
    assert picture.startswith(PNG)
