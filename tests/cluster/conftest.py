"""A control plane for all tests here, and a namespace for each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from kubernetes.utils import create_from_dict

from tests.cluster.nodes import Nodes, eventually
from tests.kubernetes_api import ROOT, ControlPlane, control_plane
from uniaudio.cluster.cluster import KubernetesCluster

_numbers = count()


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    with control_plane() as started:
        yield started


@pytest.fixture(scope="session")
def admin(plane: ControlPlane) -> client.ApiClient:
    return plane.client()


@pytest.fixture
def namespace(admin: client.ApiClient) -> str:
    """As a platform team makes one: restricted pods, our access, and alice as submitter."""
    name = f"training-{next(_numbers)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.CoreV1Api(admin).create_namespace({"metadata": {"name": name, "labels": labels}})
    prepare_for_training(admin, name)
    return name


def prepare_for_training(admin: client.ApiClient, namespace: str) -> None:
    """As docs/training-jobs.md says: what access.yaml brings, and the role for alice."""
    for manifest in yaml.safe_load_all((ROOT / "deploy/training/access.yaml").read_text()):
        create_from_dict(admin, manifest, namespace=namespace)
    binding = {
        "metadata": {"name": "training"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "uniaudio-training-submitter",
        },
        "subjects": [{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    client.RbacAuthorizationV1Api(admin).create_namespaced_role_binding(namespace, binding)
    eventually(lambda: _may_submit(admin, namespace))  # the API server learns of it a moment later


def _may_submit(admin: client.ApiClient, namespace: str) -> bool:
    attributes = {"namespace": namespace, "verb": "create", "group": "batch", "resource": "jobs"}
    review = {"spec": {"user": "alice", "resourceAttributes": attributes}}
    return bool(client.AuthorizationV1Api(admin).create_subject_access_review(review).status.allowed)


@pytest.fixture
def cluster(plane: ControlPlane, namespace: str) -> KubernetesCluster:
    """As alice, who may submit, sees it."""
    return KubernetesCluster(plane.client("alice"), namespace)


@pytest.fixture
def nodes(admin: client.ApiClient, namespace: str, tmp_path: Path) -> Iterator[Nodes]:
    with Nodes.serving(admin, namespace, tmp_path) as serving:
        yield serving
