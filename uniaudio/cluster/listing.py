"""All training Jobs of a namespace, and how far each is."""

from __future__ import annotations

from dataclasses import dataclass

from uniaudio.cluster.cluster import Cluster
from uniaudio.cluster.looking import look
from uniaudio.cluster.manifests import Manifest
from uniaudio.cluster.progress import Progress, find_progress
from uniaudio.cluster.state import TrainingState, newest_pod, pods_of
from uniaudio.errors import InvalidInputError, UnavailableError

_TAIL_LINES = 200
_FIRST_RANKS = 0  # the index of the pod whose first rank reports for all


@dataclass(frozen=True, kw_only=True)
class ListedJob:
    """A Job, and its last report where its pod still has a log."""

    state: TrainingState
    progress: Progress | None


def list_training(cluster: Cluster) -> list[ListedJob]:
    """Newest first. Progress comes from the pods' logs, which need no key to the checkpoints."""
    pods = cluster.pods()
    jobs = sorted(cluster.jobs(), key=lambda job: str(job["metadata"]["creationTimestamp"]), reverse=True)
    return [_listed(cluster, job, pods_of(job, pods)) for job in jobs]


def _listed(cluster: Cluster, job: Manifest, pods: list[Manifest]) -> ListedJob:
    return ListedJob(state=look(cluster, job, pods)[0], progress=_progress(cluster, pods))


def _progress(cluster: Cluster, pods: list[Manifest]) -> Progress | None:
    """The newest report; the log of a pod that has not begun, or whose node is away, tells nothing."""
    pod = newest_pod(pods, _FIRST_RANKS)
    if pod is None or pod["status"].get("phase") == "Pending":
        return None
    try:
        return find_progress(cluster.log_tail(pod["metadata"]["name"], _TAIL_LINES))
    except (InvalidInputError, UnavailableError):
        return None
