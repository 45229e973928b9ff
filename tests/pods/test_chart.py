"""The cluster with real pods takes every object of every values file, and those of each of its API's last versions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations

import pytest
import yaml
from kubernetes import client
from kubernetes.dynamic import DynamicClient

from tests.cluster.test_chart import (
    Server,
    check_objects,
    check_pods,
    rendered,
    serving,
    test_options_are_taken_too,
)
from tests.kubernetes_api import control_plane
from tests.machine.programs import tool_folder
from tests.pods.real_cluster import RealCluster
from tests.pods.waiting import eventually

__all__ = ("test_options_are_taken_too",)

FILES = ("trial", "gpu", "multi-node")
COMBINATIONS = tuple(chain.from_iterable(combinations(FILES, num) for num in range(len(FILES) + 1)))
# A Kubernetes plays its three versions before, as far as its API goes.
VERSIONS = ("1.34", "1.35", "1.36", "1.37")


@pytest.fixture(scope="module")
def server(cluster: RealCluster, request: pytest.FixtureRequest) -> Iterator[Server]:
    """What operators bring is checked, too; a given cluster has them or not."""
    if cluster.machine is not None:
        for operator in ("groups", "scalers"):
            request.getfixturevalue(operator)
    with serving(cluster.api) as found:
        yield found


@pytest.mark.parametrize("files", COMBINATIONS, ids=str)
def test_every_values_file_is_taken(server: Server, files: tuple[str, ...]) -> None:
    check_objects(server, rendered(files))
    check_pods(server, rendered(files))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_takes_every_values_file(version: str) -> None:
    with control_plane(f"--emulated-version={version}") as plane:
        _define_resources(plane.client())
        with serving(plane.client()) as server:
            for files in COMBINATIONS:
                manifests = rendered(files)
                assert all(server.knows(manifest) for manifest in manifests)
                check_objects(server, manifests)
                check_pods(server, manifests)


def _define_resources(api: client.ApiClient) -> None:
    """What KEDA and LeaderWorkerSet bring, without anybody who acts on it."""
    kind = {"api_version": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    definitions = DynamicClient(api).resources.get(**kind)
    for tool in ("keda", "leaderworkerset"):
        folder = tool_folder(tool) / "config/crd/bases"
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there: run `make cluster-tools`")
        for file in sorted(folder.glob("*.yaml")):
            made = definitions.create(body=yaml.safe_load(file.read_text()))
            eventually(lambda name=made.metadata.name: _is_established(definitions.get(name=name)))


def _is_established(definition: object) -> bool:
    conditions = getattr(definition, "status", {}).get("conditions") or []
    return any(found["type"] == "Established" and found["status"] == "True" for found in conditions)
