"""A training Job on a real control plane: taken, acted on, told of, ended; the test says what its pods do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from kubernetes import client
from typer.testing import CliRunner

from tests.cluster.nodes import Nodes, eventually
from tests.fake_cluster import training_job
from tests.kubernetes_api import ControlPlane
from uniaudio.cli.app import app
from uniaudio.cluster.cluster import KubernetesCluster
from uniaudio.cluster.connection import open_cluster
from uniaudio.cluster.state import state_of
from uniaudio.cluster.submitting import check, observe, submit
from uniaudio.cluster.training_job import Toleration
from uniaudio.errors import (
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    QuotaExceededError,
    UnavailableError,
    UniaudioError,
)

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def stage(cluster: KubernetesCluster, name: str = "toy") -> str:
    return state_of(cluster.job(name), cluster.pods(name)).stage


def test_everything_that_can_be_asked_for_is_taken(cluster: KubernetesCluster) -> None:
    job = training_job(
        gpus=8,
        queue="research",
        priority_class="system-node-critical",
        claim="corpora",
        tolerations=(Toleration(key="pool", value="a", effect="NoSchedule"),),
        node_selector={"pool": "h200"},
        environment={"UNIAUDIO_S3_TLS": "false"},
        deadline_seconds=3600,
    )
    kept, service = check(cluster, job)
    assert kept["spec"]["completionMode"] == "Indexed"
    assert service["spec"]["clusterIP"] == "None"
    assert not cluster.jobs()


def test_a_run_from_its_submission_to_its_end(cluster: KubernetesCluster, nodes: Nodes) -> None:
    submit(cluster, training_job())
    pods = nodes.take(2)  # made by the Job's controller, and let in as restricted pods
    assert stage(cluster) == "starting"
    for pod in pods:
        nodes.run(pod)
    assert observe(cluster, "toy").stage == "running"
    first = nodes.pods(index=0)[0]
    assert (first.spec.hostname, first.spec.subdomain) == ("toy-0", "toy")
    assert not [
        mount for mount in first.spec.containers[0].volume_mounts if "serviceaccount" in mount.mount_path
    ]
    for pod in pods:
        nodes.end(pod, 0)
    assert eventually(lambda: stage(cluster), lambda found: found == "succeeded")
    assert cluster.job("toy")["spec"]["ttlSecondsAfterFinished"] == 604_800


def test_a_lost_pod_counts_and_an_evicted_one_does_not(cluster: KubernetesCluster, nodes: Nodes) -> None:
    submit(cluster, training_job(pods=1, retries=0))
    (pod,) = nodes.take(1)
    nodes.run(pod)
    nodes.evict(pod)
    (second,) = nodes.take(1)
    nodes.run(second)
    nodes.end(second, 137)
    assert eventually(lambda: stage(cluster), lambda found: found == "failed")
    assert "BackoffLimitExceeded" in state_of(cluster.job("toy"), []).detail


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_a_person_must_change_ends_the_job(cluster: KubernetesCluster, nodes: Nodes, code: int) -> None:
    submit(cluster, training_job(pods=1))
    (pod,) = nodes.take(1)
    nodes.run(pod)
    nodes.end(pod, code)
    assert eventually(lambda: stage(cluster), lambda found: found == "failed")
    assert f"exit code {code}" in eventually(lambda: state_of(cluster.job("toy"), []).detail)


def test_a_queue_holds_it_back_until_it_is_let_go(
    cluster: KubernetesCluster, nodes: Nodes, admin: client.ApiClient
) -> None:
    submit(cluster, training_job(pods=1, queue="research"))
    assert observe(cluster, "toy").detail == "waits in queue research"
    # What Kueue does once there is room.
    client.BatchV1Api(admin).patch_namespaced_job("toy", cluster.namespace, {"spec": {"suspend": False}})
    nodes.run(nodes.take(1)[0])
    assert stage(cluster) == "running"


def raised(cluster: KubernetesCluster) -> UniaudioError:
    """What observing ends with, once it does."""

    def look() -> UniaudioError | None:
        try:
            observe(cluster, "toy")
        except UniaudioError as error:
            return error
        return None

    found = eventually(look)
    assert found is not None
    return found


def test_no_quota(cluster: KubernetesCluster, admin: client.ApiClient) -> None:
    quotas = client.CoreV1Api(admin)
    spec = {"hard": {"requests.cpu": "1", "count/jobs.batch": "1"}}
    quotas.create_namespaced_resource_quota(cluster.namespace, {"metadata": {"name": "small"}, "spec": spec})
    eventually(lambda: quotas.read_namespaced_resource_quota("small", cluster.namespace).status.hard)
    submit(cluster, training_job(pods=1))
    assert isinstance(error := raised(cluster), QuotaExceededError)
    assert "requests.cpu=2" in error.message
    with pytest.raises(QuotaExceededError, match="count/jobs"):
        submit(cluster, training_job(name="second"))


def test_no_such_image(cluster: KubernetesCluster, nodes: Nodes) -> None:
    submit(cluster, training_job(pods=1))
    nodes.wait_for_image(nodes.take(1)[0], "ImagePullBackOff", "manifest unknown")
    error = raised(cluster)
    assert (type(error), error.reason) == (NotFoundError, "IMAGE_MISSING")
    assert "manifest unknown" in error.message


def test_no_such_service_account(cluster: KubernetesCluster) -> None:
    submit(cluster, training_job(pods=1, service_account="nobody"))
    assert isinstance(error := raised(cluster), PreconditionError)
    assert 'serviceaccount "nobody" not found' in error.message


def test_what_the_cluster_refuses_has_a_name(plane: ControlPlane, cluster: KubernetesCluster) -> None:
    submit(cluster, training_job())
    with pytest.raises(InvalidInputError, match="there is a Job toy in namespace") as taken:
        submit(cluster, training_job())
    assert taken.value.reason == "NAME_TAKEN"
    with pytest.raises(InvalidInputError, match="quantities must match"):
        submit(cluster, training_job(name="other", memory="much"))
    with pytest.raises(NotFoundError, match="there is no Job nothing"):
        observe(cluster, "nothing")

    stranger = KubernetesCluster(plane.client("mallory"), cluster.namespace)
    with pytest.raises(PermissionDeniedError, match="you may not create Job toy"):
        submit(stranger, training_job())
    unknown = KubernetesCluster(plane.client("nobody"), cluster.namespace)
    with pytest.raises(PermissionDeniedError, match="log in to the cluster again"):
        unknown.jobs()


def test_no_such_cluster(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(InvalidInputError, match="set KUBECONFIG"), open_cluster():
        pass
    file = plane.kubeconfig("alice")
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(InvalidInputError, match="elsewhere"), open_cluster(context="elsewhere"):
        pass
    with open_cluster() as cluster:
        assert cluster.namespace == "default"
    away = tmp_path / "away.yaml"
    away.write_text(file.read_text().replace(plane.server, "https://127.0.0.1:9"))
    monkeypatch.setenv("KUBECONFIG", str(away))
    with (
        open_cluster() as cluster,
        pytest.raises(UnavailableError, match=r"127.0.0.1:9 does not answer: .*refused"),
    ):
        cluster.jobs()


def run(plane: ControlPlane, namespace: str, *arguments: str, code: int = 0) -> str:
    environment = {"KUBECONFIG": str(plane.kubeconfig("alice", namespace))}
    result = CliRunner().invoke(app, ["train", *arguments], env=environment)
    assert result.exit_code == code, result.output
    return result.output


_seconds = count(1)


def say(nodes: Nodes, pod: str, *texts: str) -> None:
    stamps = [(STARTED + timedelta(seconds=next(_seconds))).isoformat().replace("+00:00", "Z") for _ in texts]
    nodes.logs.setdefault(pod, []).extend(zip(stamps, texts, strict=True))


def step(number: int) -> str:
    return json.dumps({"run": "toy", "step": number, "of": 400, "left": "45 s", "event": "training"})


def test_the_commands(plane: ControlPlane, namespace: str, nodes: Nodes) -> None:
    store = ("--store", "s3://checkpoints/toy", "--store-secret", "store")
    checked = json.loads(run(plane, namespace, "submit", "debug", *store, "--pods", "2", "--dry-run"))
    assert [item["kind"] for item in checked["items"]] == ["Job", "Service"]
    assert run(plane, namespace, "submit", "debug", *store, "--wait", "0", "--", "--only", "toy").startswith(
        "debug\n"
    )
    assert "NAME_TAKEN" in run(plane, namespace, "submit", "debug", *store, "--json", code=3)

    (pod,) = nodes.take(1)
    nodes.run(pod)
    say(nodes, pod, "begun", step(10), step(20))
    assert "toy 20/400, 45 s left" in run(plane, namespace, "list")
    (listed,) = json.loads(run(plane, namespace, "list", "--json"))
    assert (listed["stage"], listed["progress"]["step"]) == ("running", 20)

    # Its log goes on in the next pod, and a connection is cut on the way.
    nodes.end(pod, 137)
    (second,) = nodes.take(1)
    nodes.run(second)
    say(nodes, second, "resumed", *[step(number) for number in range(20, 400, 20)])
    nodes.lines_before_cut[second] = 7
    nodes.end(second, 0)
    output = run(plane, namespace, "logs", "debug")
    assert output.count("resumed") == 1
    for number in range(20, 400, 20):
        assert output.count(step(number)) == 1
    assert nodes.num_log_calls > 3
    assert "debug succeeded" in output

    run(plane, namespace, "stop", "debug")
    assert run(plane, namespace, "list") == ""
    assert "there is no Job debug" in run(plane, namespace, "stop", "debug", code=3)


def test_a_stop_takes_everything_with_it(
    plane: ControlPlane, cluster: KubernetesCluster, nodes: Nodes, admin: client.ApiClient
) -> None:
    submit(cluster, training_job())
    for pod in nodes.take(2):
        nodes.run(pod)
    assert "toy is stopping" in run(plane, cluster.namespace, "stop", "toy", "--no-wait")
    for pod in eventually(
        lambda: [p for p in nodes.pods() if p.metadata.deletion_timestamp], lambda f: len(f) == 2
    ):
        assert pod.metadata.deletion_grace_period_seconds == 120
        nodes.end(pod.metadata.name, 75)
        nodes.forget(pod.metadata.name)
    eventually(lambda: not cluster.jobs() and not nodes.pods())
    services = client.CoreV1Api(admin)
    eventually(lambda: not services.list_namespaced_service(cluster.namespace).items)
