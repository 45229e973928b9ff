"""Pods really run: restricted, found by their names, heard and entered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes import client

from tests.machine.node import PROBE
from tests.pods.real_cluster import CommandError, RealCluster, restricted_pod
from tests.pods.waiting import eventually

LABELS = {"app": "answers"}
PORT = 8080


@pytest.fixture(scope="module")
def namespace(cluster: RealCluster, core: client.CoreV1Api) -> Iterator[str]:
    """Two pods that tell their names behind one Service."""
    image = cluster.image(PROBE)
    with cluster.namespace("pods") as name:
        for pod in ("first", "second"):
            core.create_namespaced_pod(name, restricted_pod(pod, image, "serve", labels=LABELS))
        spec = {"selector": LABELS, "ports": [{"port": PORT}]}
        core.create_namespaced_service(name, {"metadata": {"name": "answers"}, "spec": spec})
        for pod in ("first", "second"):
            phase = eventually(
                lambda pod=pod: core.read_namespaced_pod(pod, name).status.phase,
                lambda found: found != "Pending",
            )
            assert phase == "Running"
        yield name


def test_a_pod_that_may_more_is_refused(cluster: RealCluster, core: client.CoreV1Api, namespace: str) -> None:
    pod = restricted_pod("more", PROBE.name, "pause")
    pod["spec"]["hostNetwork"] = True
    with pytest.raises(client.ApiException, match="violates PodSecurity"):
        core.create_namespaced_pod(namespace, pod)


def test_a_service_balances_over_pods_by_its_name(cluster: RealCluster, namespace: str) -> None:
    address = f"http://answers.{namespace}.svc.cluster.local:{PORT}/"
    told = set()
    eventually(lambda: told.add(answer(cluster, namespace, address)) or {"first", "second"} <= told)


def answer(cluster: RealCluster, namespace: str, address: str) -> str:
    """Nothing where nobody answers yet: a node learns of a Service a moment later."""
    try:
        return cluster.run(namespace, "second", "/probe", "get", address).strip()
    except CommandError:
        return ""


def test_a_pod_is_heard(core: client.CoreV1Api, cluster: RealCluster, namespace: str) -> None:
    cluster.run(namespace, "first", "/probe", "get", f"http://127.0.0.1:{PORT}/said")
    eventually(lambda: core.read_namespaced_pod_log("first", namespace), lambda found: "GET /said" in found)


def test_it_runs_as_nobody_special(core: client.CoreV1Api, namespace: str) -> None:
    status = core.read_namespaced_pod("first", namespace).status.container_statuses[0]
    assert status.user.linux.uid == 10001
    assert status.restart_count == 0


def test_another_takes_the_place_of_what_has_ended(
    cluster: RealCluster, core: client.CoreV1Api, namespace: str
) -> None:
    core.delete_namespaced_pod("first", namespace)
    eventually(lambda: len(core.list_namespaced_pod(namespace).items) == 1)
    eventually(
        lambda: {answer(cluster, namespace, f"http://answers:{PORT}/") for _ in range(5)},
        lambda told: told == {"second"},
    )
