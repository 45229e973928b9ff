"""How a Job stands now, and what keeps it from starting."""

from __future__ import annotations

from collections.abc import Sequence

from uniaudio.cluster.cluster import Cluster
from uniaudio.cluster.manifests import Manifest
from uniaudio.cluster.obstacles import Obstacle, find_obstacle
from uniaudio.cluster.state import TrainingState, state_of


def look(cluster: Cluster, job: Manifest, pods: Sequence[Manifest]) -> tuple[TrainingState, Obstacle | None]:
    """The state of `job` with its `pods`. Events are asked for only where pods are missing."""
    state = state_of(job, pods)
    if state.stage != "starting":
        return state, None
    alive = [pod for pod in pods if pod["status"].get("phase") != "Failed"]
    warnings = cluster.warnings(job["metadata"]["uid"]) if len(alive) < state.pods else []
    obstacle = find_obstacle(alive, warnings)
    return state_of(job, pods, obstacle), obstacle
