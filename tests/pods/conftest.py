"""A cluster with real pods for all tests here; minutes, so `make test-cluster` alone runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kubernetes import client

from tests.machine.operators import Operator, install, keda, leader_worker_set
from tests.pods import times
from tests.pods.real_cluster import RealCluster, real_cluster

TEST_SECONDS = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever is first waits for the cluster's start."""
    for item in items:
        if "tests/pods/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := times.lines():
        terminalreporter.section("times")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def cluster() -> Iterator[RealCluster]:
    with ExitStack() as stack:
        with times.timed("a cluster, ready for pods"):
            found = stack.enter_context(real_cluster(os.environ.get("KUBECONFIG")))
        yield found


@pytest.fixture(scope="session")
def admin(cluster: RealCluster) -> client.ApiClient:
    return cluster.api


@pytest.fixture(scope="session")
def core(cluster: RealCluster) -> client.CoreV1Api:
    return client.CoreV1Api(cluster.api)


@pytest.fixture(scope="session")
def groups(cluster: RealCluster) -> None:
    """Who makes groups of ranks is there."""
    _have(cluster, leader_worker_set(), "leaderworkersets.leaderworkerset.x-k8s.io")


@pytest.fixture(scope="session")
def scalers(cluster: RealCluster) -> None:
    """Who scales by what waits is there."""
    _have(cluster, keda(), "scaledobjects.keda.sh")


def _have(cluster: RealCluster, operator: Operator, definition: str) -> None:
    """Installs it on a machine's own cluster; a given one has it or not."""
    if cluster.machine is not None:
        install(cluster.machine, operator)
        return
    try:
        client.ApiextensionsV1Api(cluster.api).read_custom_resource_definition(definition)
    except client.ApiException as error:
        if error.status == 404:
            pytest.skip(f"the given cluster has no {definition}: install what brings it")
        raise
