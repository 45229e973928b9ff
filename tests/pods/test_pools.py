"""Pods of the chart on pools of simulated GPU nodes: where they land, how they are scaled, how groups of ranks live."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests.chart.render import merged, read_values
from tests.chart.test_values import SECRETS
from tests.machine.node import PROBE
from tests.machine.operators import Operator, install, keda, leader_worker_set
from tests.machine.pools import GPU, POOL, TAINT, pools
from tests.pods.real_cluster import RealCluster, restricted_pod
from tests.pods.release import Release, release
from tests.pods.waiting import eventually

SIMULATED: dict[str, str] = {"key": TAINT, "operator": "Exists"}
GPU_NODES: dict[str, str] = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
# Nodes and GPUs of each; more than one replica of a model has no room elsewhere.
POOLS = {"tokenizer": (2, 2), "llm": (4, 2), "cpu": (2, 0)}
NAME = "trial-llm"


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


@pytest.fixture(scope="session")
def groups(cluster: RealCluster) -> None:
    _have(cluster, leader_worker_set(), "leaderworkersets.leaderworkerset.x-k8s.io")


@pytest.fixture(scope="session")
def scalers(cluster: RealCluster) -> None:
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


def pods_of(made: Release, component: str | None = None) -> list[Any]:
    """Those that are not on their way out."""
    selector = "app.kubernetes.io/name=uniaudio"
    selector += f",app.kubernetes.io/component={component}" if component else ""
    found = client.CoreV1Api(made.cluster.api).list_namespaced_pod(made.namespace, label_selector=selector)
    return [pod for pod in found.items if pod.metadata.deletion_timestamp is None]


def test_pods_land_on_nodes_of_their_pool_alone(installed: Release) -> None:
    installed.install(placed(), "--no-hooks")
    # Two groups of two ranks, two tokenizers, and at least two of what is scaled by load.
    expected = {"llm": 4, "tokenizer": 2}
    eventually(lambda: _running(installed, expected), lambda found: found)
    nodes = {pod.metadata.name: pod.spec.node_name for pod in pods_of(installed)}
    pools_of = {
        pod.metadata.name: pod.metadata.labels["app.kubernetes.io/component"] for pod in pods_of(installed)
    }
    for name, node in nodes.items():
        pool = pools_of[name] if pools_of[name] in ("llm", "tokenizer") else "cpu"
        assert node is not None, f"{name} has no place"
        assert node.rpartition("-")[0] == pool, f"{name} is on {node}"
    on_llm = [nodes[pod.metadata.name] for pod in pods_of(installed, "llm")]
    assert len(set(on_llm)) == 4, "every rank has a node of its own"


def test_a_pool_that_is_full_is_not_left(installed: Release) -> None:
    """More tokenizers than its pool has GPUs: they wait, and do not go to the other pool's GPUs."""
    installed.install(placed(tokenizer={"replicas": 6}, topologySpread=[]), "--no-hooks")
    eventually(lambda: _running(installed, {"tokenizer": 4}), lambda found: found)
    waiting = [pod for pod in pods_of(installed, "tokenizer") if pod.status.phase == "Pending"]
    assert len(waiting) == 2
    assert {pod.spec.node_name for pod in waiting} == {None}


def _running(made: Release, expected: dict[str, int]) -> bool:
    return all(
        len([pod for pod in pods_of(made, component) if pod.status.phase == "Running"]) == num
        for component, num in expected.items()
    )


@pytest.fixture
def metric(cluster: RealCluster, installed: Release) -> str:
    """A pod that answers as Prometheus does, with what it was told; its address."""
    core = client.CoreV1Api(cluster.api)
    pod = restricted_pod("metric", cluster.image(PROBE), "serve", labels={"app": "metric"})
    core.create_namespaced_pod(installed.namespace, pod)
    spec = {"selector": {"app": "metric"}, "ports": [{"port": 8080}]}
    core.create_namespaced_service(installed.namespace, {"metadata": {"name": "metric"}, "spec": spec})
    running = eventually(
        lambda: core.read_namespaced_pod("metric", installed.namespace).status.phase,
        lambda phase: phase == "Running",
    )
    assert running
    return f"http://metric.{installed.namespace}:8080"


def feed(made: Release, seconds: float) -> None:
    """What the language model's queue is said to hold."""
    vector = {"resultType": "vector", "result": [{"metric": {}, "value": [0, str(seconds)]}]}
    answer = json.dumps({"status": "success", "data": vector})
    address = "http://127.0.0.1:8080/api/v1/query"
    made.cluster.run(made.namespace, "metric", "/probe", "put", address, answer)


def test_the_queue_scales_up_and_down_and_to_zero(installed: Release, metric: str) -> None:
    scaling = {
        "by": "keda",
        "minReplicas": 0,
        "maxReplicas": 3,
        "queuedAudioSeconds": 60,
        "prometheus": metric,
    }
    feed(installed, 0)
    installed.install(placed(llm={"ranks": 1, "autoscaling": scaling}), "--no-hooks")
    _hasten(installed)
    _await_replicas(installed, 0)
    feed(installed, 170)  # 60 s a replica
    _await_replicas(installed, 3)
    nodes = {pod.spec.node_name.rpartition("-")[0] for pod in pods_of(installed, "llm")}
    assert nodes == {"llm"}
    feed(installed, 70)
    _await_replicas(installed, 2)
    feed(installed, 0)
    _await_replicas(installed, 0)


def _hasten(made: Release) -> None:
    """What waits for five minutes in a cluster of a platform's own."""
    custom = client.CustomObjectsApi(made.cluster.api)
    patch = {"spec": {"pollingInterval": 1, "cooldownPeriod": 2}}
    place = ("keda.sh", "v1alpha1", made.namespace, "scaledobjects", NAME)
    custom.patch_namespaced_custom_object(*place, patch)


def _await_replicas(made: Release, num: int) -> None:
    apps = client.AppsV1Api(made.cluster.api)
    eventually(
        lambda: apps.read_namespaced_deployment(NAME, made.namespace).spec.replicas,
        lambda found: found == num,
    )
    eventually(lambda: len(pods_of(made, "llm")), lambda found: found == num)


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
    core.delete_namespaced_pod(before["2"].metadata.name, installed.namespace)
    changed = {"2"} if leader_stays else {"0", "1", "2"}
    after = eventually(
        lambda: _ranks(installed),
        lambda found: (
            len(found) == 3
            and {rank for rank in found if found[rank].metadata.uid != before[rank].metadata.uid} == changed
        ),
    )
    assert len(after) == 3


def _ranks(made: Release) -> dict[str, Any]:
    return {
        pod.metadata.labels["leaderworkerset.sigs.k8s.io/worker-index"]: pod for pod in pods_of(made, "llm")
    }


def _check_place(pod: Any, rank: str) -> None:
    """What the controller tells a pod comes before what the chart makes of it, else it would stay a name."""
    names = [entry.name for entry in pod.spec.containers[0].env]
    assert names.index("LWS_WORKER_INDEX") < names.index("RANK")
    assert names.index("LWS_LEADER_ADDRESS") < names.index("MASTER_ADDR")
    told = {entry.name: entry.value for entry in pod.spec.containers[0].env}
    assert (told["LWS_WORKER_INDEX"], told["WORLD_SIZE"]) == (rank, "3")
