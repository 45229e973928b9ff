"""One namespace of a Kubernetes cluster, as far as training Jobs need it: plain objects in, plain objects out."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any, Protocol

from uniaudio.cluster.manifests import JOB_NAME, SELECTOR, Manifest
from uniaudio.cluster.refusals import named

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CALL_SECONDS = 30.0
LOG_SILENCE_SECONDS = 300.0  # a log that says nothing for so long is asked for again
_MAX_LISTED = 500
_MAX_LOG_BYTES = 256 * 2**10


class Cluster(Protocol):
    """What submitting, listing, following and stopping need. Every call has a deadline of its own.

    Calls raise PermissionDeniedError, NotFoundError, InvalidInputError (reason NAME_TAKEN where there is one already),
    QuotaExceededError, or UnavailableError where the cluster does not answer.
    """

    @property
    def namespace(self) -> str: ...

    def create_job(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest: ...

    def create_service(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest: ...

    def job(self, name: str) -> Manifest: ...

    def jobs(self) -> list[Manifest]:
        """Training Jobs, whoever submitted them."""

    def pods(self, job_name: str | None = None) -> list[Manifest]:
        """The pods of one training Job, or of all."""

    def warnings(self, uid: str) -> list[Manifest]:
        """Events of type Warning about one object."""

    def delete_job(self, name: str) -> None:
        """Begins to remove a Job with all that belongs to it; its pods are asked to stop, and save."""

    def log_tail(self, pod: str, num_lines: int) -> str:
        """The last lines of a pod's log, no more than some hundred kilobytes."""

    def follow_log(self, pod: str, since_seconds: int | None) -> AbstractContextManager[Iterator[bytes]]:
        """The log as it grows, each line after its time stamp, until the pod ends or the connection does."""


class KubernetesCluster:
    """A Cluster by the official client."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        from kubernetes.client import BatchV1Api, CoreV1Api

        self._batch, self._core = BatchV1Api(client), CoreV1Api(client)
        self._namespace = namespace
        self._host: str = client.configuration.host

    @property
    def namespace(self) -> str:
        """Where everything is."""
        return self._namespace

    def create_job(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        create = self._batch.create_namespaced_job
        return self._object("create", "Job", manifest["metadata"]["name"], create, manifest, **_dry(dry_run))

    def create_service(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        create = self._core.create_namespaced_service
        return self._object(
            "create", "Service", manifest["metadata"]["name"], create, manifest, **_dry(dry_run)
        )

    def job(self, name: str) -> Manifest:
        with self._named("get", "Job", name):
            return _parsed(self._batch.read_namespaced_job(name, self._namespace, **_CALL))

    def jobs(self) -> list[Manifest]:
        return self._items("Jobs", self._batch.list_namespaced_job, label_selector=SELECTOR)

    def pods(self, job_name: str | None = None) -> list[Manifest]:
        selector = SELECTOR + (f",{JOB_NAME}={job_name}" if job_name else "")
        return self._items("pods", self._core.list_namespaced_pod, label_selector=selector)

    def warnings(self, uid: str) -> list[Manifest]:
        selector = f"involvedObject.uid={uid},type=Warning"
        return self._items("events", self._core.list_namespaced_event, field_selector=selector)

    def delete_job(self, name: str) -> None:
        with self._named("delete", "Job", name):
            self._batch.delete_namespaced_job(name, self._namespace, propagation_policy="Foreground", **_CALL)

    def log_tail(self, pod: str, num_lines: int) -> str:
        with self._named("get", "the log of pod", pod):
            reply = self._core.read_namespaced_pod_log(
                pod, self._namespace, tail_lines=num_lines, limit_bytes=_MAX_LOG_BYTES, **_CALL
            )
            return str(reply.data.decode("utf-8", errors="replace"))

    def follow_log(self, pod: str, since_seconds: int | None) -> AbstractContextManager[Iterator[bytes]]:
        return closing(self._log_lines(pod, since_seconds))

    def _log_lines(self, pod: str, since_seconds: int | None) -> Generator[bytes]:
        """Lines without their ends."""
        since = {} if since_seconds is None else {"since_seconds": max(1, since_seconds)}
        with self._named("get", "the log of pod", pod):
            reply = self._core.read_namespaced_pod_log(
                pod,
                self._namespace,
                follow=True,
                timestamps=True,
                _preload_content=False,
                _request_timeout=(CALL_SECONDS, LOG_SILENCE_SECONDS),
                **since,
            )
            try:
                yield from _lines(reply.stream(amt=2**16))
            finally:
                reply.close()  # what is left unread is not wanted, so the connection cannot serve again

    def _object(self, verb: str, kind: str, name: str, call: Any, body: Manifest, **options: Any) -> Manifest:
        with self._named(verb, kind, name):
            return _parsed(call(self._namespace, body, **options, **_CALL))

    def _items(self, kind: str, call: Any, **options: Any) -> list[Manifest]:
        """Everything that matches, page by page."""
        found: list[Manifest] = []
        page: dict[str, Any] = {}
        with self._named("list", kind, ""):
            while True:
                reply = _parsed(call(self._namespace, limit=_MAX_LISTED, **options, **page, **_CALL))
                found += reply["items"]
                mark = reply["metadata"].get("continue")
                if not mark:
                    return found
                page = {"_continue": mark}

    def _named(self, verb: str, kind: str, name: str) -> AbstractContextManager[None]:
        return named(verb, f"{kind} {name}".strip(), namespace=self._namespace, host=self._host)


_CALL: dict[str, Any] = {"_preload_content": False, "_request_timeout": CALL_SECONDS}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dry_run": "All"} if dry_run else {}


def _parsed(reply: Any) -> Manifest:
    found: Manifest = json.loads(reply.data)
    return found


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines out of pieces; a last one that was cut off is left to the next connection."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _MAX_LOG_BYTES:
            lines, rest = [*lines, rest], b""
        yield from lines
