"""Submitting, following and stopping, against a cluster in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.fake_cluster import FakeCluster, kept_job, pod, training_job, waiting
from uniaudio.cluster.following import LogFollower
from uniaudio.cluster.log_lines import NewLines
from uniaudio.cluster.state import TrainingState
from uniaudio.cluster.stopping import stop_training
from uniaudio.cluster.submitting import check, submit, wait_for_start
from uniaudio.errors import (
    DeadlineError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)

COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
LOST = UnavailableError("the connection was lost")


def line(number: int, second: int = 0) -> bytes:
    return f"2026-01-01T00:00:{second:02}.{number:09}Z line {number}".encode()


def test_a_submission_is_whole_or_not_there() -> None:
    cluster = FakeCluster()
    made = submit(cluster, training_job())
    owner = cluster.kept_services["toy"]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == made["metadata"]["uid"] == cluster.kept_jobs["toy"]["metadata"]["uid"]
    with pytest.raises(InvalidInputError, match="already"):
        submit(cluster, training_job())

    cluster.refusals["create_service"] = PermissionDeniedError("you may not create Service other")
    with pytest.raises(PermissionDeniedError):
        submit(cluster, training_job(name="other"))
    assert "other" not in cluster.kept_jobs
    submit(cluster, training_job(name="alone", pods=1))
    assert "alone" not in cluster.kept_services


def test_a_check_makes_nothing() -> None:
    cluster = FakeCluster()
    assert [manifest["kind"] for manifest in check(cluster, training_job())] == ["Job", "Service"]
    assert not cluster.kept_jobs
    assert not cluster.kept_services


def advancing(*steps: Callable[[], None]) -> Callable[[float], None]:
    """A sleep in which the world goes on; it must not be needed more often."""
    left = list(steps)
    return lambda _seconds: left.pop(0)()


def test_a_start_is_waited_for() -> None:
    cluster = FakeCluster()
    submit(cluster, training_job())
    seen: list[TrainingState] = []

    def pend() -> None:
        cluster.kept_pods = [pod(0, "Running"), pod(1, "Pending")]

    def run() -> None:
        cluster.kept_pods = [pod(0, "Running"), pod(1, "Running")]

    state = wait_for_start(cluster, "toy", timeout_seconds=60, report=seen.append, sleep=advancing(pend, run))
    assert state.stage == "running"
    assert [(state.stage, state.running) for state in seen] == [
        ("starting", 0),
        ("starting", 1),
        ("running", 2),
    ]


def test_what_keeps_it_from_starting_is_raised() -> None:
    cluster = FakeCluster()
    submit(cluster, training_job())
    cluster.kept_pods = [pod(0, "Pending", **waiting("ImagePullBackOff", "no such tag")), pod(1, "Pending")]
    with pytest.raises(NotFoundError, match="no such tag") as caught:
        wait_for_start(cluster, "toy", timeout_seconds=60, report=lambda _: None)
    assert caught.value.reason == "IMAGE_MISSING"
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    cluster.kept_pods = [pod(0, "Pending", conditions=[condition]), pod(1, "Pending")]
    with pytest.raises(DeadlineError, match="0/3 nodes are available"):
        wait_for_start(cluster, "toy", timeout_seconds=-1, report=lambda _: None)


def follower(cluster: FakeCluster, written: list[str], sleep: Callable[[float], None]) -> LogFollower:
    return LogFollower(cluster, "toy", index=0, write=written.append, report=lambda _: None, sleep=sleep)


def test_a_log_is_followed_over_lost_connections_and_lost_pods() -> None:
    cluster = FakeCluster()
    cluster.kept_jobs["toy"] = kept_job()
    cluster.kept_pods = [pod(0, "Running"), pod(1, "Running")]
    cluster.log_answers = {
        "toy-0-0": [[line(1), line(2), LOST], [line(2), line(3)], [line(3), line(4)], [line(4)]],
        "toy-0-1": [[line(5, 1)], [line(5, 1), line(6, 1)], []],
    }

    def lose() -> None:
        cluster.kept_pods = [pod(0, "Failed")]

    def replace() -> None:
        cluster.kept_pods += [pod(0, "Pending", attempt=1)]

    def succeed() -> None:
        cluster.kept_pods[-1] = pod(0, "Succeeded", attempt=1)
        cluster.kept_jobs["toy"] = kept_job(**COMPLETE)

    written: list[str] = []
    sleep = advancing(lambda: None, lose, replace, succeed)
    assert follower(cluster, written, sleep).follow(3600).stage == "succeeded"
    assert written == [f"line {number}" for number in range(1, 7)]
    assert cluster.since[0] is None
    assert all(since is not None and since > 0 for since in cluster.since[1:4])
    assert cluster.since[4] is None


def test_a_log_that_is_gone_is_not_asked_for_for_ever() -> None:
    cluster, gone = FakeCluster(), b"unable to retrieve container logs"
    cluster.kept_jobs["toy"] = kept_job(**COMPLETE)
    cluster.kept_pods = [pod(0, "Succeeded")]
    cluster.log_answers = {"toy-0-0": [[gone]]}
    written: list[str] = []
    assert follower(cluster, written, advancing()).follow(3600).stage == "succeeded"
    assert written == [gone.decode()]


def test_a_cluster_that_stays_away_is_given_up() -> None:
    class Away(FakeCluster):
        def job(self, name: str) -> dict[str, object]:
            raise LOST

    pauses: list[float] = []
    with pytest.raises(UnavailableError):
        follower(Away(), [], pauses.append).follow(3600)
    assert pauses == [2, 4, 8, 16, 30, 30, 30, 30]


def test_a_job_that_is_gone_or_never_ends() -> None:
    cluster = FakeCluster()
    with pytest.raises(NotFoundError):
        follower(cluster, [], lambda _: None).follow(3600)
    cluster.kept_jobs["toy"] = kept_job()
    with pytest.raises(DeadlineError, match="follow it again"):
        follower(cluster, [], lambda _: None).follow(-1)


def test_stamps_are_read_whatever_their_zone_and_digits() -> None:
    lines = NewLines()
    given = [
        b"2026-01-01T00:00:00Z a",
        b"2026-01-01T02:00:00.5+02:00 b",
        b"2026-01-01T00:00:00.500000001Z c",
        b"2026-01-01T00:00:00.5Z again",
        b"unable to retrieve container logs",
        b"2026-01-01T00:00:01.000000000Z  indented",
    ]
    wanted = ["a", "b", "c", "unable to retrieve container logs", " indented"]
    assert list(lines.of(given)) == wanted
    since = lines.since_seconds()
    age = datetime.now(UTC).timestamp() - datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert since is not None
    assert since >= age


def test_a_stop_waits_until_the_pods_have_saved() -> None:
    class Slow(FakeCluster):
        def delete_job(self, name: str) -> None:
            self.job(name)["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    cluster, left = Slow(), list[int]()
    cluster.kept_jobs["toy"] = kept_job()
    cluster.kept_pods = [pod(0, "Running"), pod(1, "Running")]

    def save() -> None:
        del cluster.kept_pods[0]

    def go() -> None:
        cluster.kept_jobs["toy"] = kept_job(training_job(name="toy", recipe="other"))
        cluster.kept_jobs["toy"]["metadata"]["uid"] = "of another that took the name"

    stop_training(cluster, "toy", wait=True, report=left.append, sleep=advancing(save, go))
    assert left == [2, 1]
    with pytest.raises(NotFoundError):
        stop_training(FakeCluster(), "toy", wait=True, report=left.append)
