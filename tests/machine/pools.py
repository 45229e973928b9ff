"""Pools of GPU nodes without GPUs: KWOK plays their kubelets, so pods are placed there and run in name only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from tests.kubernetes_api import running
from tests.machine.programs import program, tool_folder

ANNOTATION = "kwok.x-k8s.io/node"
TAINT = "uniaudio/simulated"
POOL = "uniaudio/pool"
GPU = "nvidia.com/gpu"
_STAGES = ("node/fast/node-initialize", "node/heartbeat/node-heartbeat")
_POD_STAGES = ("pod-ready", "pod-complete", "pod-delete")
# A pod that is deleted goes a moment later, as on a real node: who watches pods sees that it is on its way out.
_END_MILLISECONDS = 1000


@contextmanager
def pools(
    api: client.ApiClient, kubeconfig: Path, folder: Path, sizes: Mapping[str, tuple[int, int]]
) -> Iterator[None]:
    """Nodes of pools while they are wanted: of each, how many nodes with how many GPUs.

    All have the taint TAINT, so that nothing lands there by accident, and those with GPUs the usual one, too.
    """
    core = client.CoreV1Api(api)
    names = [f"{pool}-{number}" for pool, (count, _) in sizes.items() for number in range(count)]
    with ExitStack() as stack:
        for name in names:
            pool = name.rpartition("-")[0]
            core.create_node(_node(name, pool, sizes[pool][1]))
            stack.callback(core.delete_node, name)
        stack.enter_context(running(program("kwok"), _options(kubeconfig, folder), folder / "kwok.log"))
        yield


def _node(name: str, pool: str, gpus: int) -> dict[str, Any]:
    sizes = {"cpu": "64", "memory": "512Gi", "pods": "110", **({GPU: str(gpus)} if gpus else {})}
    taints = [{"key": TAINT, "value": "true", "effect": "NoSchedule"}]
    if gpus:
        taints.append({"key": GPU, "value": "present", "effect": "NoSchedule"})
    labels = {
        POOL: pool,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": f"zone-{name[-1]}",
    }
    return {
        "metadata": {"name": name, "labels": labels, "annotations": {ANNOTATION: "fake"}},
        "spec": {"taints": taints},
        "status": {"capacity": sizes, "allocatable": sizes},
    }


def _options(kubeconfig: Path, folder: Path) -> list[str]:
    config = folder / "kwok.yaml"
    config.write_text(yaml.safe_dump_all(_stages()))
    return [
        f"--kubeconfig={kubeconfig}",
        f"--config={config}",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        "--server-address=127.0.0.1:0",
        "--node-ip=127.0.0.1",
    ]


def _stages() -> list[dict[str, Any]]:
    """Without stages KWOK does nothing; its own ones make nodes ready and pods run at once."""
    folder = tool_folder("kwok") / "stage"
    names = [*_STAGES, *(f"pod/fast/{name}" for name in _POD_STAGES)]
    stages = [yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in names]
    stages[-1]["spec"]["delay"] = {"durationMilliseconds": _END_MILLISECONDS}
    return stages
