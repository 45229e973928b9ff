"""The pod of a training Job: what it runs, with which rights, on what."""

from __future__ import annotations

from typing import Any

from uniaudio.cluster.training_job import Toleration, TrainingJob

RANK_PORT = 29500
GPU = "nvidia.com/gpu"
_USER = 10001
_WORK = "/work"
# The keys of the Secret are those that the chart reads of its object store.
_STORE_KEYS = {
    "UNIAUDIO_S3_ENDPOINT": "endpoint",
    "UNIAUDIO_S3_ACCESS_KEY": "access-key",
    "UNIAUDIO_S3_SECRET_KEY": "secret-key",
}


def pod_spec(job: TrainingJob, container: str) -> dict[str, Any]:
    """As the restricted pod security standard wants it; what runs has no token of the cluster."""
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": job.service_account,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": job.grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, container)],
        "volumes": _volumes(job),
        "tolerations": [_toleration(toleration) for toleration in _tolerations(job)],
        "nodeSelector": dict(job.node_selector),
    }
    if job.priority_class:
        spec["priorityClassName"] = job.priority_class
    if job.pods > 1:
        spec["subdomain"] = job.name
    return spec


def _container(job: TrainingJob, name: str) -> dict[str, Any]:
    limits = {"memory": job.memory, **({GPU: str(job.gpus)} if job.gpus else {})}
    return {
        "name": name,
        "image": job.image,
        "command": _command(job),
        "env": _environment(job),
        "resources": {"requests": {"cpu": job.cpu, "memory": job.memory}, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": _WORK},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }


def _command(job: TrainingJob) -> list[str]:
    address = f"{job.name}-0.{job.name}" if job.pods > 1 else "127.0.0.1"
    launch = {
        "--nnodes": job.pods,
        "--nproc-per-node": job.ranks_per_pod,
        "--master-addr": address,
        "--master-port": RANK_PORT,
        "--max-restarts": job.retries,
        "--grace": max(1, job.grace_seconds - 5),  # the launcher itself ends before the pod is killed
    }
    options = [text for name, value in launch.items() for text in (name, str(value))]
    store = ["--store", job.store] if job.store else []
    return ["python", "-m", "training.launch", *options, "--", job.recipe, *store, *job.arguments]


def _environment(job: TrainingJob) -> list[dict[str, Any]]:
    values = {"HOME": "/tmp", "UNIAUDIO_WORK": _WORK, "PYTHONUNBUFFERED": "1", **job.environment}
    found: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    if job.store_secret:
        found += [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": job.store_secret, "key": key}}}
            for name, key in _STORE_KEYS.items()
        ]
    return found


def _volumes(job: TrainingJob) -> list[dict[str, Any]]:
    work: dict[str, Any] = (
        {"persistentVolumeClaim": {"claimName": job.claim}} if job.claim else {"emptyDir": {}}
    )
    # Ranks of one pod and their data loaders share memory, which counts as the pod's.
    shared = {"emptyDir": {"medium": "Memory"}}
    return [{"name": "work", **work}, {"name": "tmp", "emptyDir": {}}, {"name": "shm", **shared}]


def _tolerations(job: TrainingJob) -> tuple[Toleration, ...]:
    """The given ones, and that of nodes which are kept for GPUs."""
    own = (Toleration(key=GPU),) if job.gpus and not any(t.key == GPU for t in job.tolerations) else ()
    return (*own, *job.tolerations)


def _toleration(toleration: Toleration) -> dict[str, str]:
    how = (
        {"operator": "Exists"}
        if toleration.value is None
        else {"operator": "Equal", "value": toleration.value}
    )
    return {"key": toleration.key, **how, **({"effect": toleration.effect} if toleration.effect else {})}
