"""The experiment on validation triplets: every kind is drawn, judged, and shown."""

from dataclasses import replace

import pytest

from tests.unit.training.data.speakers import ToneSpeaker
from training.data.triplets.triplet import Kind
from training.data.triplets.understanding import is_understood
from training.experiments.triplets import clean_recordings, conclude, validate
from training.experiments.triplets_report import triplets_report


@pytest.fixture(scope="module")
def items():
    return tuple(validate(len(Kind), 0, ToneSpeaker()))


def test_good_triplets_pass(items):
    validation = conclude(items, needed=40)
    assert [item.triplet.kind for item in items] == list(Kind)
    assert validation.passed
    assert len(validation.quality.boundaries) >= 40


def test_one_instruction_that_says_something_else_fails_them(items):
    wrong = replace(
        items[0].triplet, instruction=replace(items[0].triplet.instruction, text="make it louder")
    )
    assert not is_understood(wrong)
    changed = (replace(items[0], triplet=wrong, understood=False), *items[1:])
    assert not conclude(changed, needed=40).passed


def test_too_few_boundaries_fail_them(items):
    assert not conclude(items).passed


def test_noisy_and_stretched_recordings_are_not_judged_by_their_computed_times(items):
    by_kind = {item.triplet.kind: item.triplet for item in items}
    assert clean_recordings(by_kind[Kind.DENOISE]) == [by_kind[Kind.DENOISE].target]
    assert clean_recordings(by_kind[Kind.SPEED]) == [by_kind[Kind.SPEED].source]
    insertion = by_kind[Kind.INSERT]
    assert clean_recordings(insertion) == [insertion.source, insertion.target]


def test_the_report_shows_every_triplet_and_the_verdict(items):
    page = triplets_report(conclude(items, needed=40)).render()
    assert page.count("<audio") >= 2 * len(Kind)
    assert "Passed" in page
    assert "length off by 0.0" in page
    assert "&lt;edit&gt;&lt;framePatch&gt;&lt;/edit&gt;" in page
    for kind in Kind:
        assert f"{kind.value}: " in page
