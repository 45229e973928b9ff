"""`uniaudio jobs` against the real job servicer before jobs in memory: output, files, JSON, exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from services.orchestrator.jobs.model import Failure, Job, Progress, State
from tests.fakes_jobs import AWAY, NOW, FakeJobs, finish_all, served_jobs
from uniaudio.cli.app import app
from uniaudio.cli.jobs_screen import job_table
from uniaudio.client import EditItem, SpeechClient, batch
from uniaudio.errors import InvalidAudioError

FAILURE = Failure.of(InvalidAudioError("no sound in it", value="silence", limit="sound", remedy="send one"))
RESULT = b"RIFF" + bytes(3996)


@pytest.fixture
def served() -> Iterator[tuple[FakeJobs, str]]:
    # The server's log would go where the commands write.
    with capture_logs(), served_jobs(FakeJobs(finish_all)) as served:
        yield served


@pytest.fixture
def fake(served: tuple[FakeJobs, str]) -> FakeJobs:
    return served[0]


@pytest.fixture
def run(served: tuple[FakeJobs, str]):
    def run(*arguments: object, code: int = 0, stdin: bytes | None = None) -> Result:
        environment = {"UNIAUDIO_SERVER": served[1], "COLUMNS": "200"}
        words = ["jobs", *(str(argument) for argument in arguments)]
        result = CliRunner().invoke(app, words, input=stdin, env=environment)
        assert result.exit_code == code, result.stderr
        return result

    return run


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.wav", tmp_path / "b.flac"]
    for path in paths:
        path.write_bytes(path.name.encode() * 10)
    return paths


def fail(fake: FakeJobs, job: Job) -> None:
    fake.finish(job.job_id, 0)
    for item in job.items[1:]:
        fake.change(job.job_id, item.index, state=State.FAILED, failure=FAILURE, num_attempts=3, ended_at=NOW)


def test_create_prints_the_id_and_sends_a_chain(fake: FakeJobs, run, recordings: list[Path]) -> None:
    arguments = (
        "--seed",
        7,
        "--keep",
        "2h",
        "--request-id",
        "mine",
        "--format",
        "flac",
        "--transcript",
        "hi",
    )
    result = run("create", recordings[0], "faster", "louder", "--engine", "exact", *arguments)
    assert result.stdout.strip() in fake.jobs
    request_id, spec = fake.specs[0]
    (item,) = spec.items
    assert (request_id, spec.ttl_seconds, item.label) == ("mine", 7200, "a.wav")
    assert [(step.instruction, step.sampling.seed, step.transcript) for step in item.steps] == [
        ("faster", 7, "hi"),
        ("louder", 7, ""),
    ]


def test_create_takes_standard_input(fake: FakeJobs, run) -> None:
    run("create", "-", "faster", stdin=b"a recording")
    assert fake.specs[0][1].items[0].label == "standard input"
    run("create", "-", "faster", "--pcm-rate", 8000, stdin=bytes(1600))
    formats = [recording.format.sample_rate for recording in fake.recordings.values()]
    assert formats == [0, 8000]


def test_batch_is_every_recording_with_every_instruction(fake: FakeJobs, run, recordings: list[Path]) -> None:
    run("batch", *recordings, "--do", "faster", "--do", "louder")
    run("batch", *recordings, "--do", "faster", "--do", "louder", "--chain")
    crossed, chained = (spec.items for _, spec in fake.specs)
    assert [(item.label, len(item.steps)) for item in crossed] == [
        ("a.wav", 1),
        ("a.wav", 1),
        ("b.flac", 1),
        ("b.flac", 1),
    ]
    assert [(item.label, len(item.steps)) for item in chained] == [("a.wav", 2), ("b.flac", 2)]
    assert len(fake.recordings) == 2


def test_watch_tells_what_changed_and_ends_with_the_job_s_verdict(
    fake: FakeJobs, run, recordings: list[Path]
) -> None:
    result = run("batch", *recordings, "--do", "faster", "--watch")
    job_id = result.stdout.strip()
    assert "0 a.wav: succeeded, 1.50 s: Twice as fast." in result.stderr
    assert f"{job_id} succeeded, 2 of 2 done" in result.stderr
    fake.work = fail
    job_id = run("batch", *recordings, "--do", "faster").stdout.strip()
    result = run("watch", job_id, code=1)
    assert "1 b.flac: failed, no sound in it" in result.stderr
    assert f"{job_id} failed, 1 of 2 done, 1 failed" in result.stderr
    told = json.loads(run("watch", job_id, "--json", code=1).stdout)
    assert (told["state"], told["items"][1]["error"]["reason"]) == ("EDIT_JOB_STATE_FAILED", "INVALID_AUDIO")


def test_get_and_list(fake: FakeJobs, run, recordings: list[Path]) -> None:
    fake.work = fail
    job_id = run("batch", *recordings, "--do", "faster").stdout.strip()
    shown = run("get", job_id).stdout
    assert "1 of 2 done, 1 failed" in shown
    assert "no sound in it" in shown
    assert json.loads(run("get", job_id, "--json").stdout)["counts"]["failed"] == 1
    fake.work = finish_all
    other = run("create", recordings[0], "faster", "--json")
    other_id = json.loads(other.stdout)["job_id"]
    lines = run("list").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        [other_id, "succeeded", "1/1"],
        [job_id, "failed", "1/2"],
    ]
    found = json.loads(run("list", "--state", "failed", "--since", "2h", "--json").stdout)
    assert [job["job_id"] for job in found["jobs"]] == [job_id]
    assert fake.queries[-1].created_from is not None
    assert len(json.loads(run("list", "--limit", 1, "--json").stdout)["jobs"]) == 1
    assert run("list", "--state", "cancelled").stdout == ""


def test_cancel_and_delete(fake: FakeJobs, run, recordings: list[Path]) -> None:
    fake.work = lambda _fake, _job: None
    first, second = (run("create", path, "faster").stdout.strip() for path in recordings)
    assert "cancelled, 0 of 1 done, 1 cancelled" in run("cancel", first, second).stderr
    assert "deleted" in run("delete", first, second).stderr
    assert "there is no job" in run("delete", first, code=3).stderr
    assert json.loads(run("delete", first, "--missing-ok", "--json").stdout) == {"deleted": [first]}
    third = run("create", recordings[0], "faster").stdout.strip()
    assert json.loads(run("cancel", third, "--json").stdout)["state"] == "EDIT_JOB_STATE_CANCELLED"


def test_download_one_and_all(fake: FakeJobs, run, recordings: list[Path], tmp_path: Path) -> None:
    job_id = run("batch", *recordings, "--do", "faster").stdout.strip()
    run("download", job_id, "--item", 1, "-o", tmp_path / "one.wav")
    assert (tmp_path / "one.wav").read_bytes() == RESULT
    assert run("download", job_id, "-o", "-").stdout_bytes == RESULT
    told = run("download", job_id, "--folder", tmp_path / "out").stderr
    paths = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in paths] == ["0000-a.wav", "0001-b.wav"]
    assert all(str(path) in told for path in paths)
    told = run("download", job_id, "--folder", tmp_path / "out", "--item", 1, "--json").stdout
    assert json.loads(told) == {"files": [str(paths[1])]}
    result = run("download", job_id, "--folder", tmp_path / "out", "--item", 1)
    assert "no result" not in result.stderr
    run("download", job_id, "--folder", tmp_path / "out", "--item", 2, code=2)


def test_names_lead_nowhere_else(fake: FakeJobs, served, run, tmp_path: Path) -> None:
    with SpeechClient(served[1]) as client:
        items = [
            EditItem(audio=b"x", edits=["faster"], label=label, output_format="pcm")
            for label in ("../../etc/passwd", "..", "a b\n.wav", "")
        ]
        job_id = client.jobs.create(items).job_id
    run("download", job_id, "--folder", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["0000-passwd.pcm", "0001.pcm", "0002-a_b.pcm", "0003.pcm"]


def test_what_has_no_result_is_said(fake: FakeJobs, run, recordings: list[Path], tmp_path: Path) -> None:
    fake.work = fail
    job_id = run("batch", *recordings, "--do", "faster").stdout.strip()
    assert "1 of 2 items have no result" in run("download", job_id, "--folder", tmp_path / "out").stderr
    run("download", job_id, "--item", 1, "-o", tmp_path / "x.wav", code=1)
    assert not (tmp_path / "x.wav").exists()
    fake.work = lambda _fake, _job: None
    job_id = run("create", recordings[0], "faster").stdout.strip()
    run("download", job_id, "--folder", tmp_path / "none", code=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "missing.wav", "faster"),
        ("create", "-", "faster", "--format", "doc"),
        ("create", "-", "faster", "--keep", "soon"),
        ("batch", "missing.wav", "--do", "faster"),
        ("list", "--since", "yesterday"),
        ("list", "--since", "99999d"),
        ("download", "0" * 32),
        ("download", "0" * 32, "-o", "x.wav", "--folder", "y"),
    ],
)
def test_wrong_usage(run, arguments: tuple[str, ...]) -> None:
    run(*arguments, code=2, stdin=b"x")


def test_refusals_have_their_codes(fake: FakeJobs, run, recordings: list[Path]) -> None:
    run("get", "0" * 32, code=3)
    run("list", "--state", "paused", code=3)
    run("create", recordings[0], "faster", "--engine", "magic", code=3)
    fake.failures["get"] = [AWAY] * 9
    run("get", "0" * 32, code=4)


def test_the_table_shows_first_what_matters(fake: FakeJobs, served) -> None:
    with SpeechClient(served[1]) as client:
        fake.work = lambda _fake, _job: None
        job_id = client.jobs.create(batch([f"{n}".encode() for n in range(30)], ["faster"])).job_id
        for index in range(10):
            fake.finish(job_id, index)
        fake.change(
            job_id,
            10,
            state=State.RUNNING,
            progress=Progress(step=0, stage="speaking", fraction=0.5),
            num_attempts=2,
        )
        fake.change(job_id, 11, state=State.QUEUED, failure=FAILURE, retry_at=NOW, num_attempts=1)
        job = client.jobs.get(job_id)
    console = Console(file=io.StringIO(), width=120)
    console.print(job_table(job, job.items, 12))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "running, 10 of 30 done" in shown
    assert "speaking" in shown
    assert "after: no sound in it" in shown
    assert "and 23 more" in shown
    assert "succeeded" not in shown
