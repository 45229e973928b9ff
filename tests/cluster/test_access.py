"""Who may do what in a namespace for training, asked of the API server itself."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from kubernetes import client

MAY = {
    ("create", "batch", "jobs"),
    ("get", "batch", "jobs"),
    ("list", "batch", "jobs"),
    ("delete", "batch", "jobs"),
    ("create", "", "services"),
    ("list", "", "pods"),
    ("get", "", "pods/log"),
    ("list", "", "events"),
}
VERBS = ("create", "get", "list", "watch", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    ("batch", "jobs"),
    ("batch", "jobs/status"),
    ("batch", "cronjobs"),
    ("apps", "deployments"),
    ("", "pods"),
    ("", "pods/log"),
    ("", "pods/exec"),
    ("", "pods/eviction"),
    ("", "services"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "events"),
    ("", "persistentvolumeclaims"),
    ("", "serviceaccounts"),
    ("", "serviceaccounts/token"),
    ("", "resourcequotas"),
    ("networking.k8s.io", "networkpolicies"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
)


class Asked(NamedTuple):
    verb: str
    group: str
    resource: str


def allowed(api: client.ApiClient, namespace: str, user: str) -> set[Asked]:
    """Everything of the table that the user may."""
    reviews = client.AuthorizationV1Api(api)
    found = set()
    for group, resource in RESOURCES:
        for verb in VERBS:
            name, _, subresource = resource.partition("/")
            attributes = {
                "namespace": namespace,
                "verb": verb,
                "group": group,
                "resource": name,
                "subresource": subresource,
            }
            spec = {"user": user, "resourceAttributes": attributes}
            if reviews.create_subject_access_review({"spec": spec}).status.allowed:
                found.add(Asked(verb, group, resource))
    return found


@pytest.mark.parametrize(
    ("user", "may"),
    [
        ("alice", MAY),  # a submitter
        ("mallory", set()),  # somebody else who has a login
        ("system:serviceaccount:{namespace}:uniaudio-training", set()),  # what trains
        ("system:serviceaccount:{namespace}:default", set()),
    ],
)
def test_rights(admin: client.ApiClient, namespace: str, user: str, may: set[tuple[str, str, str]]) -> None:
    assert allowed(admin, namespace, user.format(namespace=namespace)) == may


def test_a_submitter_has_rights_in_one_namespace(admin: client.ApiClient, namespace: str) -> None:
    assert allowed(admin, "kube-system", "alice") == set()
