"""Ends a training Job: its pods save, then all that belongs to it goes."""

from __future__ import annotations

import time
from collections.abc import Callable

from uniaudio.cluster.cluster import Cluster
from uniaudio.errors import DeadlineError, NotFoundError

_POLL_SECONDS = 1.0
_SLACK_SECONDS = 60.0  # for the cluster's own work, after the pods' grace


def stop_training(
    cluster: Cluster,
    name: str,
    *,
    wait: bool,
    report: Callable[[int], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Removes the Job; with `wait`, returns once its pods have saved and gone. `report` gets how many are left.

    Raises NotFoundError where there is none, and DeadlineError where pods stay beyond their grace.
    """
    job = cluster.job(name)
    cluster.delete_job(name)
    grace_seconds = job["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
    timeout_seconds = grace_seconds + _SLACK_SECONDS
    ends_at = time.monotonic() + timeout_seconds
    while wait and _exists(cluster, name, job["metadata"]["uid"]):
        num_left = len(cluster.pods(name))
        report(num_left)
        if time.monotonic() > ends_at:
            raise DeadlineError(
                f"{name} still has {num_left} pods after {timeout_seconds:g} s; see whether their nodes are alive",
                reason="NOT_STOPPED",
                value=str(num_left),
                limit=f"{timeout_seconds:g} s",
                remedy="see whether their nodes are alive",
            )
        sleep(_POLL_SECONDS)


def _exists(cluster: Cluster, name: str, uid: str) -> bool:
    """Whether this very Job is still there; another may have its name by now."""
    try:
        found: str = cluster.job(name)["metadata"]["uid"]
    except NotFoundError:
        return False
    return found == uid
