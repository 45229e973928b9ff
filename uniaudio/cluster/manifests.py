"""A training Job as the objects that a cluster takes: an Indexed Job, and a headless Service for its ranks."""

from __future__ import annotations

from typing import Any

from uniaudio.cluster.pod import RANK_PORT, pod_spec
from uniaudio.cluster.training_job import TrainingJob

Manifest = dict[str, Any]

CONTAINER = "train"
LABELS = {"app.kubernetes.io/name": "uniaudio", "app.kubernetes.io/component": "training"}
SELECTOR = ",".join(f"{key}={value}" for key, value in LABELS.items())
RECIPE = "uniaudio/recipe"
INDEX = "batch.kubernetes.io/job-completion-index"
JOB_NAME = "batch.kubernetes.io/job-name"
QUEUE = "kueue.x-k8s.io/queue-name"
# training/exit_codes.py: the launcher ends with these once starting ranks again is of no use.
FINAL_EXIT_CODES = (1, 2, 3)


def job_manifest(job: TrainingJob) -> Manifest:
    """The Job; with a queue it begins suspended, and Kueue lets it go."""
    labels = {**LABELS, **({QUEUE: job.queue} if job.queue else {})}
    deadline = {"activeDeadlineSeconds": job.deadline_seconds} if job.deadline_seconds else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": labels, "annotations": {RECIPE: job.recipe}},
        "spec": {
            "completionMode": "Indexed",
            "completions": job.pods,
            "parallelism": job.pods,
            "suspend": job.queue is not None,
            "backoffLimit": job.retries,
            "podReplacementPolicy": "Failed",  # a new pod only once its predecessor has saved and gone
            "podFailurePolicy": {"rules": _failure_rules()},
            "ttlSecondsAfterFinished": job.ttl_seconds,
            **deadline,
            "template": {
                "metadata": {"labels": LABELS, "annotations": {RECIPE: job.recipe}},
                "spec": pod_spec(job, CONTAINER),
            },
        },
    }


def service_manifest(job: TrainingJob, uid: str) -> Manifest:
    """Gives the ranks' hosts their names; it goes with the Job whose `uid` it gets."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job.name, "labels": LABELS, "ownerReferences": [owner]},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # ranks look for each other before any of them is ready
            "selector": {JOB_NAME: job.name},
            "ports": [{"name": "ranks", "port": RANK_PORT}],
        },
    }


def _failure_rules() -> list[Manifest]:
    """What the cluster takes away costs nothing, what must change ends the Job, all else costs a retry."""
    return [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": CONTAINER,
                "operator": "In",
                "values": list(FINAL_EXIT_CODES),
            },
        },
    ]
