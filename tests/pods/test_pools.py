"""Pods of the chart on pools of simulated GPU nodes: where they land, how they are scaled, how groups of ranks live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests.chart.render import merged, read_values
from tests.chart.test_values import SECRETS
from tests.machine.pools import GPU, POOL, TAINT, pools
from tests.pods.real_cluster import RealCluster
from tests.pods.release import Release, release
from tests.pods.scaling import await_replicas, feed, hasten, metric
from tests.pods.times import timed
from tests.pods.waiting import eventually

SIMULATED: dict[str, str] = {"key": TAINT, "operator": "Exists"}
GPU_NODES: dict[str, str] = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
# Nodes and GPUs of each; more than one replica of a model has no room elsewhere.
POOLS = {"tokenizer": (2, 2), "llm": (4, 2), "cpu": (2, 0)}


@pytest.fixture(scope="module", autouse=True)
def simulated(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("pools")
    with pools(cluster.api, cluster.kubeconfig, folder, POOLS):
        core = client.CoreV1Api(cluster.api)
        eventually(lambda: _num_ready(core), lambda found: found == sum(count for count, _ in POOLS.values()))
        yield


def _num_ready(core: client.CoreV1Api) -> int:
    conditions = [
        c for node in core.list_node(label_selector=POOL).items for c in node.status.conditions or []
    ]
    return sum(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def placed(**values: Any) -> dict[str, Any]:
    """The chart's values for GPUs in pools; what needs none goes to the pool without, all on simulated nodes."""
    elsewhere = ("orchestrator", "gateway", "worker", "collector")
    tolerations: dict[str, Any] = {
        **{name: {"tolerations": [SIMULATED], "nodeSelector": {POOL: "cpu"}} for name in elsewhere},
        **{name: {"tolerations": [SIMULATED, GPU_NODES]} for name in ("tokenizer", "llm")},
    }
    no_claim = {"model": {"existingClaim": ""}}  # without a volume there is nothing to bind
    return merged(read_values("gpu"), read_values("multi-node"), SECRETS, no_claim, tolerations, values)


@pytest.fixture
def installed(cluster: RealCluster, groups: None, scalers: None) -> Iterator[Release]:
    with release(cluster, "pools") as made:
        yield made


def test_pods_land_on_nodes_of_their_pool_alone(installed: Release) -> None:
    installed.install(placed(), "--no-hooks")
    # Two groups of two ranks, two tokenizers, and at least two of what is scaled by load.
    expected = {"llm": 4, "tokenizer": 2}
    eventually(lambda: _running(installed, expected), lambda found: found)
    nodes = {pod.metadata.name: pod.spec.node_name for pod in installed.pods()}
    pools_of = {
        pod.metadata.name: pod.metadata.labels["app.kubernetes.io/component"] for pod in installed.pods()
    }
    for name, node in nodes.items():
        pool = pools_of[name] if pools_of[name] in ("llm", "tokenizer") else "cpu"
        assert node is not None, f"{name} has no place"
        assert node.rpartition("-")[0] == pool, f"{name} is on {node}"
    on_llm = [nodes[pod.metadata.name] for pod in installed.pods("llm")]
    assert len(set(on_llm)) == 4, "every rank has a node of its own"


def test_a_pool_that_is_full_is_not_left(installed: Release) -> None:
    """More tokenizers than its pool has GPUs: they wait, and do not go to the other pool's GPUs."""
    installed.install(placed(tokenizer={"replicas": 6}, topologySpread=[]), "--no-hooks")
    eventually(lambda: _running(installed, {"tokenizer": 4}), lambda found: found)
    waiting = [pod for pod in installed.pods("tokenizer") if pod.status.phase == "Pending"]
    assert len(waiting) == 2
    assert {pod.spec.node_name for pod in waiting} == {None}


def _running(made: Release, expected: dict[str, int]) -> bool:
    return all(
        len([pod for pod in made.pods(component) if pod.status.phase == "Running"]) == num
        for component, num in expected.items()
    )


def test_the_queue_scales_up_and_down_and_to_zero(installed: Release) -> None:
    scaling = {"by": "keda", "minReplicas": 0, "maxReplicas": 3, "queuedAudioSeconds": 60}
    with metric(installed) as address:
        feed(installed, 0)
        installed.install(
            placed(llm={"ranks": 1, "autoscaling": {**scaling, "prometheus": address}}), "--no-hooks"
        )
        hasten(installed, "llm")
        await_replicas(installed, "llm", 0)
        with timed("the queue fed, to three replicas wanted"):
            feed(installed, 170)  # 60 s a replica
            await_replicas(installed, "llm", 3)
        nodes = {pod.spec.node_name.rpartition("-")[0] for pod in installed.pods("llm")}
        assert nodes == {"llm"}
        feed(installed, 70)
        await_replicas(installed, "llm", 2)
        with timed("the queue empty, to no replica"):
            feed(installed, 0)
            await_replicas(installed, "llm", 0)


@pytest.mark.parametrize(("restart", "leader_stays"), [("None", True), ("RecreateGroupOnPodRestart", False)])
def test_a_lost_rank_restarts_as_was_asked(installed: Release, restart: str, *, leader_stays: bool) -> None:
    one = {"ranks": 3, "replicas": 1, "groupRestart": restart, "autoscaling": {"by": ""}}
    installed.install(placed(llm=one), "--no-hooks")
    eventually(lambda: _running(installed, {"llm": 3}), lambda found: found)
    before = _ranks(installed)
    assert sorted(before) == ["0", "1", "2"]
    for rank, pod in before.items():
        _check_place(pod, rank)
    core = client.CoreV1Api(installed.cluster.api)
    with timed(f"a rank lost, to the group whole again ({restart})"):
        core.delete_namespaced_pod(before["2"].metadata.name, installed.namespace)
        wanted = {"0": "old", "1": "old", "2": "new"} if leader_stays else dict.fromkeys("012", "new")
        eventually(
            lambda: {rank: _told(pod, before[rank]) for rank, pod in _ranks(installed).items()},
            lambda found: found == wanted,
        )


def _ranks(made: Release) -> dict[str, Any]:
    """Those on their way out too; a name is given again only when the one before has gone."""
    core = client.CoreV1Api(made.cluster.api)
    selector = f"leaderworkerset.sigs.k8s.io/name={made.name}-llm"
    found = core.list_namespaced_pod(made.namespace, label_selector=selector).items
    return {pod.metadata.labels["leaderworkerset.sigs.k8s.io/worker-index"]: pod for pod in found}


def _told(pod: Any, before: Any) -> str:
    """Whether a pod is the one from before, and what holds one that is on its way out."""
    told = "old" if pod.metadata.uid == before.metadata.uid else "new"
    if pod.metadata.deletion_timestamp is None:
        return told
    return f"{told}, ending since {pod.metadata.deletion_timestamp}, held by {pod.metadata.finalizers}"


def _check_place(pod: Any, rank: str) -> None:
    """What the controller tells a pod comes before what the chart makes of it, else it would stay a name."""
    names = [entry.name for entry in pod.spec.containers[0].env]
    assert names.index("LWS_WORKER_INDEX") < names.index("RANK")
    assert names.index("LWS_LEADER_ADDRESS") < names.index("MASTER_ADDR")
    told = {entry.name: entry.value for entry in pod.spec.containers[0].env}
    assert (told["LWS_WORKER_INDEX"], told["WORLD_SIZE"]) == (rank, "3")
