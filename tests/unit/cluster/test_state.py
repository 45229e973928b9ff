"""A Job's state, obstacles and progress, read from what a cluster and a log say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fake_cluster import FakeCluster, kept_job, pod, training_job, waiting
from uniaudio.cluster.listing import list_training
from uniaudio.cluster.looking import look
from uniaudio.cluster.obstacles import find_obstacle
from uniaudio.cluster.progress import Progress, find_progress
from uniaudio.cluster.state import newest_pod, state_of
from uniaudio.errors import NotFoundError, PreconditionError, QuotaExceededError, UnavailableError

RUNNING = [pod(0, "Running"), pod(1, "Running")]
FAILED = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "exit code 3"}


@pytest.mark.parametrize(
    ("status", "pods", "stage", "detail"),
    [
        ({}, [], "starting", ""),
        ({}, RUNNING, "running", ""),
        ({}, [RUNNING[0], pod(1, "Pending", **waiting("ErrImagePull", "slow"))], "starting", "ErrImagePull"),
        ({}, [RUNNING[0], pod(1, "Failed"), pod(1, "Running", attempt=1)], "running", ""),
        ({}, [RUNNING[0], pod(1, "Succeeded")], "running", ""),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, [], "succeeded", ""),
        ({"conditions": [FAILED]}, RUNNING, "failed", "PodFailurePolicy: exit code 3"),
        ({"conditions": [{**FAILED, "status": "False"}]}, RUNNING, "running", ""),
        ({"conditions": [{**FAILED, "type": "FailureTarget"}]}, RUNNING, "failed", "exit code 3"),
    ],
)
def test_stages(status: dict[str, Any], pods: list[Any], stage: str, detail: str) -> None:
    state, _ = look(FakeCluster(), kept_job(**status), pods)
    assert (state.stage, detail in state.detail) == (stage, True)
    assert (state.name, state.recipe, state.pods) == ("toy", "debug", 2)


def test_a_suspended_job_waits_in_its_queue_and_a_deleted_one_stops() -> None:
    queued = kept_job(training_job(queue="research"))
    assert (state := state_of(queued, [])).stage == "queued"
    assert state.detail == "waits in queue research"
    queued["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert state_of(queued, []).stage == "stopping"


def test_the_newest_pod_of_an_index_counts() -> None:
    pods = [pod(0, "Failed"), pod(0, "Running", attempt=2), pod(0, "Failed", attempt=1), pod(1, "Running")]
    found = newest_pod(pods, 0)
    assert found is not None
    assert found["metadata"]["name"] == "toy-0-2"
    assert newest_pod(pods, 2) is None


def event(message: str, second: int = 0) -> dict[str, Any]:
    return {"reason": "FailedCreate", "message": message, "lastTimestamp": f"2026-01-01T00:00:{second:02}Z"}


@pytest.mark.parametrize(
    ("pods", "warnings", "error", "match"),
    [
        ([pod(0, "Pending", **waiting("ImagePullBackOff", "not found"))], [], NotFoundError, "not found"),
        (
            [pod(0, "Pending", **waiting("CreateContainerConfigError", 'secret "store"'))],
            [],
            PreconditionError,
            "stor",
        ),
        ([], [event('error looking up service account "x"')], PreconditionError, "service account"),
        ([], [event("forbidden: exceeded quota: q")], QuotaExceededError, "exceeded quota"),
        (
            [],
            [event("exceeded quota: q", 1), event("no such account", 2)],
            PreconditionError,
            "no such account",
        ),
    ],
)
def test_obstacles_that_a_person_must_remove_are_errors(
    pods: list[Any], warnings: list[Any], error: type[Exception], match: str
) -> None:
    obstacle = find_obstacle(pods, warnings)
    assert obstacle is not None
    found = obstacle.error("toy")
    assert type(found) is error
    assert match in str(found)


def test_a_pod_without_a_place_is_no_error() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    obstacle = find_obstacle([pod(0, "Pending", conditions=[condition])])
    assert obstacle is not None
    assert (obstacle.error("toy"), obstacle.message) == (None, "0/3 nodes are available")
    assert find_obstacle(RUNNING) is None


def test_why_a_lost_pod_is_not_made_again_is_told() -> None:
    cluster = FakeCluster()
    cluster.kept_warnings = [{**event("exceeded quota: q"), "involvedObject": {"uid": "uid-toy"}}]
    state, obstacle = look(cluster, kept_job(), [pod(0, "Running"), pod(1, "Failed")])
    assert (state.stage, state.detail) == ("starting", "exceeded quota: q")
    assert obstacle is not None


def report(step: int) -> str:
    said = {"run": "toy", "step": step, "of": 400, "loss": 0.5, "left": "45 s", "event": "training"}
    return json.dumps(said)


@pytest.mark.parametrize(
    ("log", "step"),
    [
        ("", None),
        (report(10), 10),
        (f"{report(10)}\nplain text\n{report(20)}\n{report(30)[:40]}", 20),
        ('{"of": 3, "step": "many"}\n[1, "of"]\n', None),
    ],
)
def test_progress_is_the_last_whole_report(log: str, step: int | None) -> None:
    found = find_progress(log)
    wanted = None if step is None else Progress(run="toy", step=step, num_steps=400, left="45 s")
    assert found == wanted


def test_a_list_is_newest_first_and_tells_what_the_first_pods_say() -> None:
    class Away(FakeCluster):
        def log_tail(self, pod: str, num_lines: int) -> str:
            if pod.startswith("away"):
                raise UnavailableError("the node is away")
            return super().log_tail(pod, num_lines)

    cluster = Away()
    for number, name in enumerate(("toy", "away", "new")):
        job = kept_job(training_job(name=name))
        job["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:0{number}Z"
        cluster.kept_jobs[name] = job
    cluster.kept_pods = [*RUNNING, pod(0, "Running", job="away"), pod(0, "Pending", job="new")]
    cluster.tails["toy-0-0"] = report(30)
    listed = list_training(cluster)
    assert [job.state.name for job in listed] == ["new", "away", "toy"]
    assert [job.progress and job.progress.step for job in listed] == [None, None, 30]
