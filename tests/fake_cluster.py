"""A Cluster in memory, whose pods a test makes; what `uniaudio.cluster` is tested against without a control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any

from uniaudio.cluster.manifests import INDEX, JOB_NAME, LABELS, Manifest, job_manifest
from uniaudio.cluster.training_job import TrainingJob
from uniaudio.errors import InvalidInputError, NotFoundError, UniaudioError


def training_job(**changes: Any) -> TrainingJob:
    """A Job of two pods with a store."""
    values: dict[str, Any] = {
        "name": "toy",
        "recipe": "debug",
        "image": "uniaudio/training:test",
        "pods": 2,
        "store": "s3://checkpoints/toy",
        "store_secret": "store",
    }
    return TrainingJob(**{**values, **changes})


def kept_job(job: TrainingJob | None = None, **status: Any) -> Manifest:
    """The Job as a cluster keeps it."""
    manifest = job_manifest(job or training_job())
    manifest["metadata"] |= {
        "uid": f"uid-{manifest['metadata']['name']}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {**manifest, "status": status}


def pod(index: int, phase: str, *, attempt: int = 0, job: str = "toy", **status: Any) -> Manifest:
    """A pod that a Job made for an index; a later attempt is newer."""
    name = f"{job}-{index}-{attempt}"
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {**LABELS, JOB_NAME: job},
            "annotations": {INDEX: str(index)},
            "creationTimestamp": f"2026-01-01T00:00:{attempt:02}Z",
        },
        "status": {"phase": phase, **status},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Status of a pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "train", "image": "uniaudio/training:test", "state": state}]}


class FakeCluster:
    """Keeps what it is given. `log_answers` are what calls for a pod's log get, one after the other."""

    namespace = "speech"

    def __init__(self) -> None:
        self.kept_jobs: dict[str, Manifest] = {}
        self.kept_services: dict[str, Manifest] = {}
        self.kept_pods: list[Manifest] = []
        self.kept_warnings: list[Manifest] = []
        self.tails: dict[str, str] = {}
        self.log_answers: dict[str, list[list[bytes | UniaudioError]]] = {}
        self.refusals: dict[str, UniaudioError] = {}  # by the name of the call
        self.since: list[int | None] = []
        self._numbers = count(1)

    def create_job(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        return self._create("create_job", self.kept_jobs, manifest, dry_run=dry_run)

    def create_service(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        return self._create("create_service", self.kept_services, manifest, dry_run=dry_run)

    def job(self, name: str) -> Manifest:
        if name not in self.kept_jobs:
            raise NotFoundError(f"there is no Job {name}")
        return self.kept_jobs[name]

    def jobs(self) -> list[Manifest]:
        return list(self.kept_jobs.values())

    def pods(self, job_name: str | None = None) -> list[Manifest]:
        return [p for p in self.kept_pods if job_name in (None, p["metadata"]["labels"][JOB_NAME])]

    def warnings(self, uid: str) -> list[Manifest]:
        return [event for event in self.kept_warnings if event["involvedObject"]["uid"] == uid]

    def delete_job(self, name: str) -> None:
        self.job(name)
        del self.kept_jobs[name]

    def log_tail(self, pod: str, num_lines: int) -> str:
        return "\n".join(self.tails[pod].splitlines()[-num_lines:])

    def follow_log(self, pod: str, since_seconds: int | None) -> AbstractContextManager[Iterator[bytes]]:
        self.since.append(since_seconds)
        return nullcontext(self._log(pod))

    def _log(self, pod: str) -> Iterator[bytes]:
        for line in self.log_answers[pod].pop(0):
            if isinstance(line, UniaudioError):
                raise line
            yield line

    def _create(self, call: str, kept: dict[str, Manifest], manifest: Manifest, *, dry_run: bool) -> Manifest:
        if call in self.refusals and not dry_run:
            raise self.refusals[call]
        name = manifest["metadata"]["name"]
        if name in kept:
            raise InvalidInputError(f"there is a {name} already", reason="NAME_TAKEN")
        made = {"uid": f"uid-{next(self._numbers)}", "creationTimestamp": "2026-01-01T00:00:00Z"}
        manifest = {**manifest, "metadata": {**manifest["metadata"], **made}}
        if not dry_run:
            kept[name] = manifest
        return manifest
