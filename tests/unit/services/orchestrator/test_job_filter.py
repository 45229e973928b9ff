"""The filter of a list of jobs becomes the query that it asks for, or is refused with what is understood."""

from __future__ import annotations

import pytest

from services.orchestrator.job_filter import parse_filter
from services.orchestrator.jobs.model import JobQuery, State
from uniaudio.errors import InvalidInputError

DAY = 1_769_817_600.0
TIME = '"2026-01-31T00:00:00Z"'
RUNNING, QUEUED, FAILED = State.RUNNING, State.QUEUED, State.FAILED


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_asks_for_all(text: str) -> None:
    assert parse_filter(text) == JobQuery()


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("state = RUNNING", {RUNNING}),
        ("state=running", {RUNNING}),
        ('state = "EDIT_JOB_STATE_RUNNING"', {RUNNING}),
        ("state = RUNNING OR state = QUEUED", {RUNNING, QUEUED}),
        ("(state = RUNNING OR state = QUEUED) AND state != QUEUED", {RUNNING}),
        ("state != RUNNING", set(State) - {RUNNING}),
        ("state = RUNNING OR state = QUEUED AND state = QUEUED OR state = FAILED", {QUEUED}),
    ],
)
def test_states(text: str, states: set[State]) -> None:
    assert parse_filter(text) == JobQuery(states=frozenset(states))


def test_times_are_from_and_before() -> None:
    query = parse_filter(f"create_time >= {TIME} AND end_time < {TIME} AND state = FAILED")
    assert query == JobQuery(states=frozenset({FAILED}), created_from=DAY, ended_before=DAY)


def test_times_beyond_an_instant_leave_it_out() -> None:
    query = parse_filter(f"create_time > {TIME} AND create_time <= {TIME}")
    assert query.created_from == query.created_before
    assert query.created_from is not None
    assert DAY < query.created_from < DAY + 1e-6


def test_the_narrower_of_two_bounds_holds() -> None:
    query = parse_filter(f"create_time >= {TIME} AND create_time >= 2026-01-30T00:00:00+01:00")
    assert query.created_from == DAY
    assert parse_filter(f"end_time < {TIME} AND end_time < 2026-02-01T00:00:00Z").ended_before == DAY


@pytest.mark.parametrize(
    "text",
    [
        "state",
        "state =",
        "state > RUNNING",
        "state = PAUSED",
        "caller = me",
        "create_time = " + TIME,
        "create_time > yesterday",
        "create_time > 2026-01-31T00:00:00",
        "state = RUNNING state = QUEUED",
        "state = RUNNING AND",
        "AND state = RUNNING",
        "OR",
        "(state = RUNNING",
        "state = RUNNING)",
        "((state = RUNNING))",
        "state = RUNNING AND state = QUEUED",
        f"state = RUNNING OR create_time > {TIME}",
        'state = "RUNNING',
        "state = RUNNING AND " * 60 + "state = RUNNING",
        "\x00",
        "()",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_filter(text)
    assert caught.value.reason == "INVALID_FILTER"
