"""Curves are read from what runs wrote: the last look, minutes without pauses, pictures where there is a line."""

import json

import pytest

from training.experiments.curves import pictures, read_run, table
from uniaudio.errors import InvalidInputError


@pytest.fixture
def run(tmp_path):
    rows = [
        {"step": 50, "time": 0.0, "loss": 2.0},
        {"step": 100, "time": 60.0, "evaluation/pesq_wb": 1.5, "evaluation/stoi": 0.8},
        {"step": 150, "time": 4000.0, "loss": 1.0},
        {"step": 200, "time": 4060.0, "evaluation/pesq_wb": 2.25},
    ]
    folder = tmp_path / "some-run"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_run(folder)


def test_a_run_is_its_looks_and_its_minutes_at_work(run):
    assert (run.name, run.steps, run.minutes) == ("some-run", 200, pytest.approx(2.0))
    assert run.looks[-1] == (200, {"pesq_wb": 2.25})


def test_the_table_shows_the_last_look(run):
    assert table([run]).splitlines()[-1] == "| `some-run` | 200 | 2 | pesq_wb 2.25 |"


def test_only_measures_with_a_line_are_drawn(run):
    drawn = pictures([run])
    assert set(drawn) == {"pesq_wb"}
    assert drawn["pesq_wb"].startswith(b"\x89PNG")


def test_a_run_that_has_not_begun_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match="has not begun"):
        read_run(tmp_path)
