"""What scales pods by a queue in tests: KEDA, and a metric that says what it was told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes import client

from tests.machine.node import PROBE
from tests.pods.real_cluster import restricted_pod
from tests.pods.release import Release
from tests.pods.waiting import eventually

_NAME, _PORT = "metric", 8080


@contextmanager
def metric(made: Release) -> Iterator[str]:
    """A pod that answers as Prometheus does, once it was fed; its address."""
    core = client.CoreV1Api(made.cluster.api)
    pod = restricted_pod(_NAME, made.cluster.image(PROBE), "serve", labels={"app": _NAME})
    core.create_namespaced_pod(made.namespace, pod)
    spec = {"selector": {"app": _NAME}, "ports": [{"port": _PORT}]}
    core.create_namespaced_service(made.namespace, {"metadata": {"name": _NAME}, "spec": spec})
    eventually(
        lambda: core.read_namespaced_pod(_NAME, made.namespace).status.phase, lambda phase: phase == "Running"
    )
    yield f"http://{_NAME}.{made.namespace}:{_PORT}"
    core.delete_namespaced_pod(_NAME, made.namespace)
    core.delete_namespaced_service(_NAME, made.namespace)


def feed(made: Release, seconds: float) -> None:
    """What the language model's queue is said to hold from now on."""
    vector = {"resultType": "vector", "result": [{"metric": {}, "value": [0, str(seconds)]}]}
    answer = json.dumps({"status": "success", "data": vector})
    address = f"http://127.0.0.1:{_PORT}/api/v1/query"
    made.cluster.run(made.namespace, _NAME, "/probe", "put", address, answer)


def hasten(made: Release, component: str) -> None:
    """Makes KEDA look each second: a cluster of a platform's own waits for five minutes."""
    custom = client.CustomObjectsApi(made.cluster.api)
    patch = {"spec": {"pollingInterval": 1, "cooldownPeriod": 2}}
    place = ("keda.sh", "v1alpha1", made.namespace, "scaledobjects", f"{made.name}-{component}")
    custom.patch_namespaced_custom_object(*place, patch)


def await_replicas(made: Release, component: str, num: int) -> None:
    """Until so many are wanted, and so many pods are not on their way out."""
    apps = client.AppsV1Api(made.cluster.api)
    name = f"{made.name}-{component}"
    eventually(
        lambda: apps.read_namespaced_deployment(name, made.namespace).spec.replicas,
        lambda found: found == num,
    )
    eventually(lambda: len(made.pods(component)), lambda found: found == num)
