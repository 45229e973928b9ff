"""The chart as helm installs it into a namespace of the cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.chart.render import CHART, helm
from tests.pods.real_cluster import RealCluster

SECONDS = 600


@dataclass(frozen=True)
class Release:
    """One installation; `name` is also the first part of its objects' names."""

    cluster: RealCluster
    namespace: str
    name: str = "trial"

    def helm(self, *arguments: str, values: Mapping[str, object] | None = None) -> str:
        """What helm prints, given values over the chart's own."""
        files = () if values is None else ("--values=-",)
        place = (f"--kubeconfig={self.cluster.kubeconfig}", f"--namespace={self.namespace}")
        command = [helm(), *arguments, *files, *place]
        given = None if values is None else json.dumps(values)
        result = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
        return result.stdout

    def install(self, values: Mapping[str, object], *options: str) -> str:
        """Installs or upgrades it."""
        return self.helm("upgrade", "--install", self.name, str(CHART), *options, values=values)

    def uninstall(self) -> None:
        """Takes it away, as a person would."""
        self.helm("uninstall", self.name, "--wait", f"--timeout={SECONDS}s")


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
