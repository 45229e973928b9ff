"""The product with all that it brings along: whichever pod is deleted under load, no accepted job is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.render import CHART, merged, read_values
from tests.chart.test_network import BARE, TRIAL, WORKERS
from tests.faults.rounds import play
from tests.machine.images import ProgramImage
from tests.machine.parts import trial_images
from tests.machine.programs import ROOT
from tests.pods.real_cluster import RealCluster
from tests.pods.release import SECONDS, WORDS, Release, release, small
from tests.pods.scaling import await_replicas, hasten
from tests.pods.times import note, timed
from tests.pods.trial import BUCKET, Trial, pod_deleted, watched
from tests.pods.volumes import volumes
from tests.pods.waiting import eventually
from uniaudio.client import AsyncSpeechClient
from uniaudio.client.job_requests import EditItem, edit_step
from uniaudio.runtime.models.push import push_model
from uniaudio.runtime.object_store import open_object_store
from uniaudio.v1 import jobs_pb2

SENTENCE = CHART / "files/sentence.flac"
KINDS = ("gateway", "orchestrator", "worker", "tokenizer", "llm", "redis", "minio", "postgresql")
SAME_AGAIN = {name: {"env": {"UNIAUDIO_REPRODUCIBLE": "true"}} for name in ("tokenizer", "llm")}


@pytest.fixture(scope="module")
def images(cluster: RealCluster) -> dict[str, ProgramImage]:
    """Of what it brings along, for a cluster of this machine's own, which can pull nothing."""
    return {} if cluster.machine is None else trial_images()


@pytest.fixture(scope="module")
def values(cluster: RealCluster, images: dict[str, ProgramImage]) -> dict[str, Any]:
    """The chart's for a trial, on a small node; a seed gives the same audio again."""
    own = {"trial": {part: {"image": cluster.image(image)} for part, image in images.items()}}
    return merged(read_values("trial"), small(cluster, SAME_AGAIN, own))


@pytest.fixture(scope="module")
def installed(
    cluster: RealCluster, images: dict[str, ProgramImage], values: dict[str, Any]
) -> Iterator[Release]:
    # A cluster of this machine's own has no StorageClass.
    owners = {f"data-trial-{part}-0": image.user for part, image in images.items()}
    with release(cluster, "trial") as made, volumes(cluster, made.namespace, owners):
        with timed("trial: install to the first edit"):
            with timed("trial: install to all pods ready"):
                made.install(values, "--wait", f"--timeout={SECONDS}s")
            made.test()
        yield made


@pytest.fixture(scope="module")
def trial(installed: Release) -> Iterator[Trial]:
    with watched(installed) as found:
        yield found


def test_the_cluster_keeps_the_arrows_and_no_other(installed: Release) -> None:
    assert installed.arrows() == BARE | WORKERS | TRIAL


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deleted_pod_loses_no_accepted_job(installed: Release, trial: Trial, kind: str) -> None:
    """Jobs come by gRPC, past the gateway, which keeps nothing; it serves again afterwards."""
    shown = await play(trial, [pod_deleted(kind)], random.Random(kind))
    assert not shown.verdict.broken, shown
    assert shown.verdict.items.keys() == {"succeeded"}, shown
    installed.await_ready()
    installed.test()
    note(f"trial: {kind} deleted, to the end of a job asked for afterwards", shown.new_job_seconds)


async def test_workers_come_for_jobs_and_go_to_zero(
    installed: Release, trial: Trial, values: dict[str, Any], scalers: None
) -> None:
    """KEDA asks the jobs' own database what waits; without a worker a job waits, and it brings one."""
    scaling = {"worker": {"autoscaling": {"by": "keda", "minReplicas": 0, "maxReplicas": 2}}}
    installed.install(merged(values, scaling), "--wait", f"--timeout={SECONDS}s")
    hasten(installed, "worker")
    await_replicas(installed, "worker", 0)
    wanted = edit_step("make it twice as fast")
    async with AsyncSpeechClient(trial.address) as client:
        with timed("trial: a job created with no worker there, to its end"):
            job = await client.jobs.create([EditItem(audio=SENTENCE.read_bytes(), edits=[wanted])])
            states = [told.state async for told in client.jobs.watch(job.job_id)]
    assert states[-1] == jobs_pb2.EDIT_JOB_STATE_SUCCEEDED
    await_replicas(installed, "worker", 0)


def test_a_model_comes_from_the_object_store(
    installed: Release, trial: Trial, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of one's own, here nano: who serves it fetches it before it starts, and takes no other."""
    url = f"s3://{BUCKET}/models/nano"
    with trial.store() as (address, access_key, secret_key):
        for name, value in (("ENDPOINT", address), ("ACCESS_KEY", access_key), ("SECRET_KEY", secret_key)):
            monkeypatch.setenv(f"UNIAUDIO_S3_{name}", value)
        monkeypatch.setenv("UNIAUDIO_S3_TLS", "false")
        digest = push_model(ROOT / "models/nano", open_object_store(url)).digest
    store = {"url": url, "digest": digest, "secret": f"{installed.name}-trial", "tls": False}
    with timed("trial: upgrade to a model from the store, to all pods ready"):
        installed.install(merged(values, {"model": {"store": store}}), "--wait", f"--timeout={SECONDS}s")
    for kind in ("tokenizer", "llm"):
        (pod,) = installed.pods(kind)
        (fetched,) = pod.status.init_container_statuses
        assert fetched.state.terminated.exit_code == 0
    assert f"heard: '{WORDS}'" in installed.test()


def test_it_goes_with_its_volumes(installed: Release) -> None:
    installed.uninstall()
    eventually(installed.traces, lambda found: not found)
