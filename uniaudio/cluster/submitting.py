"""Hands a training Job to a cluster, and sees it start."""

from __future__ import annotations

import time
from collections.abc import Callable

from uniaudio.cluster.cluster import Cluster
from uniaudio.cluster.looking import look
from uniaudio.cluster.manifests import Manifest, job_manifest, service_manifest
from uniaudio.cluster.state import TrainingState
from uniaudio.cluster.training_job import TrainingJob
from uniaudio.errors import DeadlineError, UniaudioError

_POLL_SECONDS = 1.0
_NO_UID = "00000000-0000-0000-0000-000000000000"


def submit(cluster: Cluster, job: TrainingJob) -> Manifest:
    """The Job as the cluster has it; either all of it is there afterwards, or nothing."""
    check(cluster, job)
    made = cluster.create_job(job_manifest(job))
    if job.pods > 1:
        try:
            cluster.create_service(service_manifest(job, made["metadata"]["uid"]))
        except UniaudioError:
            cluster.delete_job(job.name)
            raise
    return made


def check(cluster: Cluster, job: TrainingJob) -> list[Manifest]:
    """The objects as the cluster would keep them, after all of its checks; nothing is made."""
    checked = [cluster.create_job(job_manifest(job), dry_run=True)]
    if job.pods > 1:
        checked.append(cluster.create_service(service_manifest(job, _NO_UID), dry_run=True))
    return checked


def wait_for_start(
    cluster: Cluster,
    name: str,
    *,
    timeout_seconds: float,
    report: Callable[[TrainingState], None],
    sleep: Callable[[float], None] = time.sleep,
) -> TrainingState:
    """The state once all pods run, the Job has ended, or it waits in a queue.

    Raises what keeps it from starting (NotFoundError IMAGE_MISSING, QuotaExceededError, PreconditionError), and
    DeadlineError with the reason where it does not start in time. The Job stays in any case.
    """
    ends_at = time.monotonic() + timeout_seconds
    while True:
        state = observe(cluster, name)
        report(state)
        if state.stage != "starting":
            return state
        if time.monotonic() > ends_at:
            raise DeadlineError(
                f"{name} did not start within {timeout_seconds:g} s ({state.detail or 'no reason is known'}); it goes "
                f"on waiting: see `uniaudio train list`, or `uniaudio train stop {name}`",
                reason="NOT_STARTED",
                value=state.detail,
                limit=f"{timeout_seconds:g} s",
                remedy="see `uniaudio train list`, or stop it",
            )
        sleep(_POLL_SECONDS)


def observe(cluster: Cluster, name: str) -> TrainingState:
    """How a Job stands now; raises what keeps it from starting where a person must act."""
    state, obstacle = look(cluster, cluster.job(name), cluster.pods(name))
    error = obstacle.error(name) if obstacle else None
    if error is not None:
        raise error
    return state
