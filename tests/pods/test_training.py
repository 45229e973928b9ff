"""A submitted training Job really trains in pods, and what is killed on the way changes nothing of what it learns."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from kubernetes import client
from minio import Minio
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.cluster.conftest import prepare_for_training
from tests.machine.parts import MINIO
from tests.machine.programs import ROOT
from tests.pods.forwarding import forwarded
from tests.pods.real_cluster import RealCluster, restricted_pod
from tests.pods.times import timed
from tests.pods.waiting import eventually
from uniaudio.cli.app import app
from uniaudio.cluster.manifests import INDEX, JOB_NAME

ACCESS_KEY, SECRET_KEY = "trainer", "a-secret-of-tests"
STEPS = 2000
NUM_KILLS = 10
RUN = "toy"


@pytest.fixture(scope="module")
def image(cluster: RealCluster) -> str:
    return cluster.product("training")


@pytest.fixture(scope="module")
def namespace(cluster: RealCluster) -> Iterator[str]:
    """As docs/training-jobs.md makes it, and an object store in a pod."""
    with cluster.namespace("training") as name:
        prepare_for_training(cluster.api, name)
        _start_store(cluster, name)
        yield name


def _start_store(cluster: RealCluster, namespace: str) -> None:
    core = client.CoreV1Api(cluster.api)
    pod = restricted_pod("minio", cluster.image(MINIO), "server", "/data", labels={"app": "minio"})
    (container,) = pod["spec"]["containers"]
    container |= {
        "env": [
            {"name": "MINIO_ROOT_USER", "value": ACCESS_KEY},
            {"name": "MINIO_ROOT_PASSWORD", "value": SECRET_KEY},
        ],
        "readinessProbe": {"httpGet": {"path": "/minio/health/ready", "port": 9000}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "data", "mountPath": path} for path in ("/data", "/tmp")],
        "workingDir": "/tmp",
    }
    pod["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    core.create_namespaced_pod(namespace, pod)
    spec = {"selector": {"app": "minio"}, "ports": [{"port": 9000}]}
    core.create_namespaced_service(namespace, {"metadata": {"name": "minio"}, "spec": spec})
    keys = {"endpoint": f"minio.{namespace}:9000", "access-key": ACCESS_KEY, "secret-key": SECRET_KEY}
    core.create_namespaced_secret(namespace, {"metadata": {"name": "checkpoints"}, "stringData": keys})
    cluster.kubectl(
        "wait", "pod/minio", "--for=condition=Ready", f"--namespace={namespace}", "--timeout=120s"
    )
    with forwarded(cluster, namespace, "pod/minio", 9000) as port:
        Minio(f"127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY, secure=False).make_bucket("checkpoints")


@pytest.fixture(scope="module")
def submitter(
    cluster: RealCluster, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of somebody who may do what a submitter may, and no more."""
    place = f"--namespace={namespace}"
    cluster.kubectl("create", "serviceaccount", "submitter", place)
    role = ("--role=uniaudio-training-submitter", f"--serviceaccount={namespace}:submitter")
    cluster.kubectl("create", "rolebinding", "submitter", *role, place)
    token = cluster.kubectl("create", "token", "submitter", "--duration=2h", place).strip()
    config: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text())
    current = next(c for c in config["contexts"] if c["name"] == config["current-context"])["context"]
    config["users"] = [{"name": "submitter", "user": {"token": token}}]
    current |= {"user": "submitter", "namespace": namespace}
    path = tmp_path_factory.mktemp("submitter") / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return {"KUBECONFIG": str(path)}


def train(submitter: dict[str, str], *arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, ["train", *arguments], env=submitter)
    assert result.exit_code == 0, result.output
    return result.output


def submit(submitter: dict[str, str], image: str, name: str) -> None:
    options = ["--name", name, "--image", image, "--pods", "2", "--cpu", "100m", "--memory", "1Gi"]
    options += ["--store", f"s3://checkpoints/{name}", "--store-secret", "checkpoints", "--wait", "0"]
    options += ["--env", "UNIAUDIO_S3_TLS=false", "--env", "OMP_NUM_THREADS=1", "--retries", "30"]
    train(submitter, "submit", "debug", *options, "--", "--only", RUN, "--steps", str(STEPS))


def test_ten_kills_change_nothing(
    cluster: RealCluster, namespace: str, submitter: dict[str, str], image: str, tmp_path: Path
) -> None:
    for name in ("killed", "whole"):
        submit(submitter, image, name)
    with timed(f"two training runs of {STEPS} steps side by side, one of them killed {NUM_KILLS} times"):
        for point in sorted(random.Random(0).sample(range(50, STEPS - 100), NUM_KILLS)):
            _await(submitter, "killed", partial(_is_at, point))
            with timed(f"a training pod killed at step {point}, to the next one"):
                _kill_one(cluster, namespace, "killed")
        for name in ("killed", "whole"):
            _await(submitter, name, lambda listed: listed["stage"] == "succeeded")
    killed, whole = (_weights(cluster, namespace, name, tmp_path) for name in ("killed", "whole"))
    assert killed.keys() == whole.keys()
    for key, tensor in whole.items():
        assert torch.equal(killed[key], tensor), f"{key} differs"


def _await(submitter: dict[str, str], name: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Until the run is so far; it must not fail on the way."""

    def look() -> dict[str, Any]:
        listed = _listed(submitter, name)
        assert listed["stage"] in ("starting", "running", "succeeded"), listed
        return listed

    eventually(look, wanted)


def _listed(submitter: dict[str, str], name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(train(submitter, "list", "--json"))
    (row,) = [row for row in rows if row["name"] == name]
    return row


def _is_at(step: int, listed: dict[str, Any]) -> bool:
    """Whether a run is at this step, or beyond."""
    return listed["progress"] is not None and listed["progress"]["step"] >= step


def _kill_one(cluster: RealCluster, namespace: str, job: str) -> None:
    """Without a warning, as a lost node does it; the next one begins anew from the last checkpoint."""
    core = client.CoreV1Api(cluster.api)
    pods = core.list_namespaced_pod(namespace, label_selector=f"{JOB_NAME}={job}").items
    running = [pod for pod in pods if pod.status.phase == "Running"]
    victim = random.choice(running)
    index = victim.metadata.annotations[INDEX]
    core.delete_namespaced_pod(victim.metadata.name, namespace, grace_period_seconds=0)
    if cluster.machine is not None:
        cluster.machine.plane.restart_controllers()  # they wait longer before each new pod, up to 10 min
    eventually(
        lambda: [
            pod
            for pod in core.list_namespaced_pod(namespace, label_selector=f"{JOB_NAME}={job}").items
            if pod.metadata.annotations[INDEX] == index and pod.metadata.uid != victim.metadata.uid
        ]
    )


def _weights(cluster: RealCluster, namespace: str, name: str, folder: Path) -> dict[str, torch.Tensor]:
    """The exported weights, written here from the last checkpoint in the store."""
    with forwarded(cluster, namespace, "pod/minio", 9000) as port:
        environment = {
            **os.environ,
            "UNIAUDIO_S3_ENDPOINT": f"127.0.0.1:{port}",
            "UNIAUDIO_S3_ACCESS_KEY": ACCESS_KEY,
            "UNIAUDIO_S3_SECRET_KEY": SECRET_KEY,
            "UNIAUDIO_S3_TLS": "false",
        }
        work = folder / name
        command = [sys.executable, "-m", "training.train", "debug", "--only", RUN, "--steps", str(STEPS)]
        command += ["--work", str(work), "--store", f"s3://checkpoints/{name}"]
        result = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
    assert result.returncode == 0, result.stderr[-3000:]
    return load_file(work / f"runs/{RUN}/weights.safetensors")
