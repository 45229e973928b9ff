"""How a training Job stands, read from the objects that the cluster keeps about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from uniaudio.cluster.manifests import INDEX, JOB_NAME, QUEUE, RECIPE, Manifest
from uniaudio.cluster.obstacles import Obstacle

Stage = Literal["queued", "starting", "running", "stopping", "succeeded", "failed"]
ENDED = frozenset({"succeeded", "failed"})


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """One Job: `running` of `pods` pods run, `lost` ended otherwise than well; `detail` says why it is so."""

    name: str
    recipe: str
    stage: Stage
    detail: str
    pods: int
    running: int
    lost: int
    created_at: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.stage in ENDED


def state_of(job: Manifest, pods: Sequence[Manifest], obstacle: Obstacle | None = None) -> TrainingState:
    """The state of `job` with its `pods`; an `obstacle` explains why it does not start."""
    status, phases = job.get("status", {}), [pod["status"].get("phase") for pod in pods]
    running = phases.count("Running")
    num_begun = running + phases.count("Succeeded")
    stage, detail = _stage(job, num_begun, obstacle)
    return TrainingState(
        name=job["metadata"]["name"],
        recipe=job["metadata"].get("annotations", {}).get(RECIPE, "?"),
        stage=stage,
        detail=detail,
        pods=job["spec"].get("completions", 1),
        running=running,
        lost=status.get("failed", 0),
        created_at=job["metadata"]["creationTimestamp"],
    )


def pods_of(job: Manifest, pods: Iterable[Manifest]) -> list[Manifest]:
    """The Job's own among `pods`."""
    name = job["metadata"]["name"]
    return [pod for pod in pods if pod["metadata"]["labels"].get(JOB_NAME) == name]


def newest_pod(pods: Iterable[Manifest], index: int) -> Manifest | None:
    """The last pod that was made for an index."""
    own = [pod for pod in pods if pod["metadata"].get("annotations", {}).get(INDEX) == str(index)]
    return max(own, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _stage(job: Manifest, num_begun: int, obstacle: Obstacle | None) -> tuple[Stage, str]:
    conditions = {
        condition["type"]: condition
        for condition in job.get("status", {}).get("conditions", [])
        if condition["status"] == "True"
    }
    if "deletionTimestamp" in job["metadata"]:
        return "stopping", ""
    if failed := conditions.get("Failed") or conditions.get("FailureTarget"):
        return "failed", _why(failed)
    if "Complete" in conditions:
        return "succeeded", ""
    if job["spec"].get("suspend"):
        queue = job["metadata"].get("labels", {}).get(QUEUE)
        return "queued", f"waits in queue {queue}" if queue else "suspended"
    if num_begun >= job["spec"].get("parallelism", 1):
        return "running", ""
    return "starting", obstacle.message if obstacle else ""


def _why(condition: dict[str, Any]) -> str:
    return f"{condition.get('reason', 'Failed')}: {condition.get('message', '')}".rstrip(": ")
