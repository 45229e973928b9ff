"""The chart as helm installs it into a namespace of the cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client

from tests.chart.render import CHART, helm, merged
from tests.chart.test_network import Arrow, arrows_of
from tests.pods.real_cluster import RealCluster

SECONDS = 600
WORDS = "where can he count the lost needle"  # of the chart's own recording
SERVICES = ("tokenizer", "llm", "orchestrator", "gateway")
DRAIN_SECONDS = 5
_SMALL: dict[str, Any] = {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "4Gi"}}
# What every cluster puts into a namespace by itself.
_OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


@dataclass(frozen=True)
class Release:
    """One installation; `name` is also the first part of its objects' names."""

    cluster: RealCluster
    namespace: str
    name: str = "trial"

    def helm(self, *arguments: str, values: Mapping[str, object] | None = None) -> str:
        """What helm prints, given values over the chart's own."""
        return self._run(*arguments, values=values).stdout

    def _run(
        self, *arguments: str, values: Mapping[str, object] | None = None
    ) -> subprocess.CompletedProcess[str]:
        files = () if values is None else ("--values=-",)
        place = (f"--kubeconfig={self.cluster.kubeconfig}", f"--namespace={self.namespace}")
        command = [helm(), *arguments, *files, *place]
        given = None if values is None else json.dumps(values)
        result = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=SECONDS + 60, check=False
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
        return result

    def install(self, values: Mapping[str, object], *options: str) -> str:
        """Installs or upgrades it."""
        return self.helm("upgrade", "--install", self.name, str(CHART), *options, values=values)

    def test(self) -> str:
        """What the pod of `helm test` says, which helm prints beside its own output: it edits a recording."""
        return self._run("test", self.name, f"--timeout={SECONDS}s").stderr

    def uninstall(self) -> None:
        """Takes it away, as a person would."""
        self.helm("uninstall", self.name, "--wait", f"--timeout={SECONDS}s")

    def pods(self, component: str | None = None) -> list[Any]:
        """Those that are not on their way out."""
        selector = "app.kubernetes.io/name=uniaudio"
        selector += f",app.kubernetes.io/component={component}" if component else ""
        core = client.CoreV1Api(self.cluster.api)
        found = core.list_namespaced_pod(self.namespace, label_selector=selector).items
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def await_ready(self) -> None:
        """Until every pod that should be there is ready."""
        place = f"--namespace={self.namespace}"
        kinds = self.cluster.kubectl("get", "deployments,statefulsets", place, "--output=name").split()
        for name in kinds:
            self.cluster.kubectl("rollout", "status", name, place, "--timeout=290s")

    def arrows(self) -> set[Arrow]:
        """Who may talk to whom, by the policies that the cluster keeps."""
        api = self.cluster.api
        found = client.NetworkingV1Api(api).list_namespaced_network_policy(self.namespace).items
        kept = [{"kind": "NetworkPolicy", **api.sanitize_for_serialization(policy)} for policy in found]
        return arrows_of(kept, "Ingress", "from") | arrows_of(kept, "Egress", "to")

    def traces(self) -> set[str]:
        """Every object in the namespace that no cluster puts there by itself; events apart."""
        place = f"--namespace={self.namespace}"
        kinds = self.cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
        wanted = ",".join(kind for kind in kinds if not kind.startswith("events"))
        return set(self.cluster.kubectl("get", wanted, place, "--output=name").split()) - _OWN


@contextmanager
def release(cluster: RealCluster, purpose: str) -> Iterator[Release]:
    """A namespace for one; not installed yet, and gone in the end in any case."""
    with cluster.namespace(purpose) as namespace:
        made = Release(cluster, namespace)
        try:
            yield made
        finally:
            if made.helm("list", "--short", "--all").strip():
                made.uninstall()


def small(cluster: RealCluster, *layers: dict[str, Any]) -> dict[str, Any]:
    """Values for a small node, others laid over them; the product's images are there."""
    for name in SERVICES:
        cluster.product(name)
    parts = {name: {"resources": _SMALL} for name in (*SERVICES, "worker", "migrate", "test")}
    limits = {"requestSeconds": SECONDS, "generationSeconds": SECONDS, "drainSeconds": DRAIN_SECONDS}
    shared = {"image": {"registry": cluster.registry.rstrip("/")}, "limits": limits}
    return merged(parts, {"tokenizer": {"backend": "local"}}, shared, *layers)
