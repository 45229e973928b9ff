"""A real API server takes every object of the chart, strictly, and lets its pods into a restricted namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kubernetes import client
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from tests.chart.crds import CUSTOM, pod_templates
from tests.chart.render import Manifest, merged, pods, read_values, render_chart
from tests.chart.test_values import SECRETS
from tests.cluster.nodes import eventually

# Values files that are laid over each other, as their readers are told to.
VARIANTS: tuple[tuple[str, ...], ...] = ((), ("trial",), ("gpu",), ("gpu", "multi-node"))

# What no values file switches on.
OPTIONS: dict[str, object] = {
    "collector": {"enabled": True},
    "monitoring": {"dashboards": {"enabled": True}},
    "model": {"store": {"url": "s3://models/16b", "secret": "models", "caSecret": "authority"}},
    "tokenizer": {"rayService": {"enabled": True}},
}
# What pods name that only an installation makes.
INSTALLED = ("serviceAccountName", "priorityClassName")


def rendered(files: tuple[str, ...]) -> list[Manifest]:
    """With Secrets of a platform's own, which all but trials need; a trial's jobs are where it brings them."""
    secrets = SECRETS if {"gpu", "multi-node"} & set(files) else {}
    secrets = {name: value for name, value in secrets.items() if name != "jobs" or "trial" not in files}
    return render_chart(merged(*(read_values(name) for name in files), secrets))


class Server:
    """Creates objects without keeping them, after all of its checks; unknown fields are refused."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._resources = DynamicClient(api).resources

    def knows(self, manifest: Manifest) -> bool:
        """Whether it has the manifest's kind."""
        try:
            self._resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        except ResourceNotFoundError:
            return False
        return True

    def check(self, manifest: Manifest) -> None:
        kind = self._resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        path = kind.path(namespace=self._namespace if kind.namespaced else None)
        metadata = {**manifest["metadata"]}
        metadata.pop("namespace", None)
        self._api.call_api(
            path,
            "POST",
            body={**manifest, "metadata": metadata},
            query_params=[("dryRun", "All"), ("fieldValidation", "Strict")],
            header_params={"Content-Type": "application/json"},
            auth_settings=["BearerToken"],
            _preload_content=False,
        )


@contextmanager
def serving(admin: client.ApiClient) -> Iterator[Server]:
    """With a namespace for it, whose pods are restricted."""
    name = f"of-the-chart-{os.getpid()}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core = client.CoreV1Api(admin)
    core.create_namespace({"metadata": {"name": name, "labels": labels}})
    eventually(lambda: core.list_namespaced_service_account(name).items)  # no pod is let in without one
    yield Server(admin, name)
    core.delete_namespace(name)


@pytest.fixture(scope="module")
def server(admin: client.ApiClient) -> Iterator[Server]:
    with serving(admin) as found:
        yield found


@pytest.mark.parametrize("files", VARIANTS, ids=str)
def test_every_object_is_taken(server: Server, files: tuple[str, ...]) -> None:
    check_objects(server, rendered(files))


@pytest.mark.parametrize("files", VARIANTS, ids=str)
def test_every_pod_is_let_in(server: Server, files: tuple[str, ...]) -> None:
    check_pods(server, rendered(files))


def check_objects(server: Server, manifests: list[Manifest]) -> None:
    """Every one but those whose kind somebody else brings, where nobody has."""
    objects = [manifest for manifest in manifests if manifest["kind"] != "Pod"]
    known = [manifest for manifest in objects if server.knows(manifest)]
    assert {manifest["kind"] for manifest in objects if manifest not in known} <= CUSTOM.keys()
    assert len(known) > 10
    for manifest in known:
        server.check(manifest)


def check_pods(server: Server, manifests: list[Manifest]) -> None:
    """Every pod that controllers would make."""
    found = pods(manifests)
    assert {"tokenizer", "llm", "orchestrator", "gateway"} <= found.keys()
    for name, template in found.items():
        spec = {key: value for key, value in template["spec"].items() if key not in INSTALLED}
        spec["volumes"] = [*spec.get("volumes", []), *claimed(spec)]
        server.check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_options_are_taken_too(server: Server) -> None:
    manifests = render_chart(OPTIONS)
    check_objects(server, manifests)
    templates = {name: pod for one in manifests for name, pod in pod_templates(one).items()}
    for name, template in {**pods(manifests), **templates}.items():
        spec = {key: value for key, value in template["spec"].items() if key not in INSTALLED}
        server.check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def claimed(spec: Manifest) -> list[Manifest]:
    """The volumes that a StatefulSet adds to its pods by its claims."""
    containers = [*spec["containers"], *spec.get("initContainers", [])]
    mounted = {mount["name"] for container in containers for mount in container.get("volumeMounts", [])}
    return [{"name": name, "emptyDir": {}} for name in mounted - {v["name"] for v in spec.get("volumes", [])}]
