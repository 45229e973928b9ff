"""A cluster with real pods for all tests here; minutes, so `make test-cluster` alone runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kubernetes import client

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
