"""The cluster's names: CoreDNS in a pod, without any right to ask beyond the cluster."""

from __future__ import annotations

from pathlib import Path

from kubernetes import client
from kubernetes.utils import create_from_dict

from tests.machine.clients import api_client
from tests.machine.control_plane import ControlPlane, wait_until
from tests.machine.images import ProgramImage
from tests.machine.node import DNS_SERVICE, Node
from tests.machine.programs import program

_PORT = 1053  # below 1024 it would need a capability
_COREFILE = f"""
.:{_PORT} {{
    errors
    ready
    kubernetes cluster.local
    cache 5
    reload
}}
"""
_LABELS = {"k8s-app": "kube-dns"}


def start_dns(plane: ControlPlane, node: Node) -> None:
    """Returns once names are answered."""
    image = ProgramImage("uniaudio/coredns:1", Path(program("coredns")), "/coredns")
    node.load(image)
    with api_client(plane.admin) as api:
        for manifest in _manifests(image.name):
            create_from_dict(api, manifest, namespace="kube-system")
        apps = client.AppsV1Api(api)
        wait_until(
            lambda: bool(apps.read_namespaced_deployment("coredns", "kube-system").status.ready_replicas),
            plane.room,
            "CoreDNS",
        )


def _manifests(image: str) -> list[dict[str, object]]:
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coredns"}
    ports = [
        {"name": kind.lower(), "port": 53, "targetPort": _PORT, "protocol": kind} for kind in ("UDP", "TCP")
    ]
    return [
        _object("v1", "ServiceAccount", "coredns"),
        _object("rbac.authorization.k8s.io/v1", "ClusterRole", "coredns", rules=_RULES),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            "coredns",
            roleRef=role,
            subjects=[account],
        ),
        _object("v1", "ConfigMap", "coredns", data={"Corefile": _COREFILE}),
        _object(
            "apps/v1",
            "Deployment",
            "coredns",
            spec={
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": _pod(image)},
            },
        ),
        _object(
            "v1",
            "Service",
            "kube-dns",
            spec={"clusterIP": DNS_SERVICE, "selector": _LABELS, "ports": ports},
        ),
    ]


_RULES = [
    {
        "apiGroups": [""],
        "resources": ["endpoints", "services", "pods", "namespaces"],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]


def _object(version: str, kind: str, name: str, **content: object) -> dict[str, object]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **content}


def _pod(image: str) -> dict[str, object]:
    return {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
        "containers": [
            {
                "name": "coredns",
                "image": image,
                "args": ["-conf", "/config/Corefile"],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "20m", "memory": "50Mi"}},
                "volumeMounts": [{"name": "config", "mountPath": "/config"}],
            }
        ],
    }
