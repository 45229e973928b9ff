"""A real API server takes every object of the chart, strictly, and lets its pods into a restricted namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from kubernetes import client
from kubernetes.dynamic import DynamicClient

from tests.chart.crds import CUSTOM, pod_templates
from tests.chart.render import Manifest, merged, pods, read_values, render_chart
from tests.chart.test_values import SECRETS

# Each with the values files that are laid over each other; all but trials need Secrets of the platform's own.
VARIANTS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "trial": ("trial",),
    "gpu": ("gpu",),
    "gpu, multi-node": ("gpu", "multi-node"),
}

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
    return render_chart(merged(*(read_values(name) for name in files), {} if "gpu" not in files else SECRETS))


class Server:
    """Creates objects without keeping them, after all of its checks; unknown fields are refused."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._resources = DynamicClient(api).resources

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


@pytest.fixture(scope="module")
def server(admin: client.ApiClient) -> Iterator[Server]:
    name = f"of-the-chart-{os.getpid()}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core = client.CoreV1Api(admin)
    core.create_namespace({"metadata": {"name": name, "labels": labels}})
    yield Server(admin, name)
    core.delete_namespace(name)


@pytest.mark.parametrize("files", VARIANTS.values(), ids=list(VARIANTS))
def test_every_object_is_taken(server: Server, files: tuple[str, ...]) -> None:
    known = [manifest for manifest in rendered(files) if manifest["kind"] not in {"Pod", *CUSTOM}]
    assert len(known) > 10
    for manifest in known:
        server.check(manifest)


@pytest.mark.parametrize("files", VARIANTS.values(), ids=list(VARIANTS))
def test_every_pod_is_let_in(server: Server, files: tuple[str, ...]) -> None:
    found = pods(rendered(files))
    assert {"tokenizer", "llm", "orchestrator", "gateway"} <= found.keys()
    for name, template in found.items():
        spec = {key: value for key, value in template["spec"].items() if key not in INSTALLED}
        spec["volumes"] = [*spec.get("volumes", []), *claimed(spec)]
        server.check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_options_are_taken_too(server: Server) -> None:
    manifests = render_chart(OPTIONS)
    for manifest in manifests:
        if manifest["kind"] not in {"Pod", *CUSTOM}:
            server.check(manifest)
    templates = {name: pod for one in manifests for name, pod in pod_templates(one).items()}
    for name, template in {**pods(manifests), **templates}.items():
        spec = {key: value for key, value in template["spec"].items() if key not in INSTALLED}
        server.check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def claimed(spec: Manifest) -> list[Manifest]:
    """The volumes that a StatefulSet adds to its pods by its claims."""
    containers = [*spec["containers"], *spec.get("initContainers", [])]
    mounted = {mount["name"] for container in containers for mount in container.get("volumeMounts", [])}
    return [{"name": name, "emptyDir": {}} for name in mounted - {v["name"] for v in spec.get("volumes", [])}]
