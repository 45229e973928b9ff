"""Jobs and items in words, and times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer

from uniaudio.cli.jobs_text import item_detail, item_fraction, item_name, job_line, parse_seconds, parse_time
from uniaudio.v1 import jobs_pb2, speech_pb2

RUNNING = jobs_pb2.EDIT_JOB_STATE_RUNNING
CHAIN = jobs_pb2.EditJobItemSpec(
    recording_id="0123456789abcdef",
    edits=[jobs_pb2.EditStep(instruction="faster"), jobs_pb2.EditStep(instruction="louder")],
)


def item(state: jobs_pb2.EditJobState, **fields: object) -> jobs_pb2.EditJobItem:
    return jobs_pb2.EditJobItem(spec=CHAIN, state=state, **fields)  # type: ignore[arg-type]


def test_an_item_says_what_matters_where_it_stands() -> None:
    progress = speech_pb2.EditProgress(stage="speaking", fraction=0.75)
    running = item(RUNNING, step=1, progress=progress)
    assert item_detail(running) == "edit 2 of 2: speaking"
    assert item_fraction(running) == 0.75
    assert item_detail(item(RUNNING)) == "edit 1 of 2: beginning"
    assert item_detail(item(jobs_pb2.EDIT_JOB_STATE_QUEUED)) == "faster; louder"
    assert item_fraction(item(jobs_pb2.EDIT_JOB_STATE_SUCCEEDED)) == 1.0
    failed = item(jobs_pb2.EDIT_JOB_STATE_FAILED, error=jobs_pb2.EditJobError(message="no sound"))
    assert item_detail(failed) == "no sound"


def test_names_cannot_move_the_cursor() -> None:
    spec = jobs_pb2.EditJobItemSpec(label="a\x1b[2Jb\n")
    assert item_name(jobs_pb2.EditJobItem(spec=spec)) == "a\ufffd[2Jb\ufffd"
    assert item_name(item(RUNNING)) == "0123456789ab"


def test_a_job_in_a_line() -> None:
    counts = jobs_pb2.EditJobCounts(total=5, succeeded=2, failed=1, cancelled=1)
    job = jobs_pb2.EditJob(job_id="j", state=RUNNING, counts=counts)
    assert job_line(job) == "j running, 2 of 5 done, 1 failed, 1 cancelled"


def test_times_as_people_write_them() -> None:
    now = datetime.now(UTC)
    assert timedelta() <= parse_time("2h", "--since") - (now - timedelta(hours=2)) < timedelta(minutes=1)
    assert parse_time("2026-01-31T12:00:00Z", "--since") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_time("2026-01-31 12:00", "--since").tzinfo is not None
    assert [parse_seconds(text, "--keep") for text in ("90s", "30m", "7d")] == [90, 1800, 604_800]


@pytest.mark.parametrize("text", ["", "h", "soon", "2w", "-2h", "1.5h", "99999d", "²h"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_time(text, "--since")
    with pytest.raises(typer.BadParameter):
        parse_seconds(text, "--keep")
