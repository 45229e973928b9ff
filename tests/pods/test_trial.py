"""The product with all that it brings along: whichever pod is deleted under load, no accepted job is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.chart.render import merged, read_values
from tests.chart.test_network import BARE, TRIAL, WORKERS
from tests.faults.rounds import play
from tests.machine.parts import trial_images
from tests.pods.real_cluster import RealCluster
from tests.pods.release import SECONDS, Release, release, small
from tests.pods.times import note, timed
from tests.pods.trial import Trial, pod_deleted, watched
from tests.pods.volumes import volumes
from tests.pods.waiting import eventually

KINDS = ("gateway", "orchestrator", "worker", "tokenizer", "llm", "redis", "minio", "postgresql")
SAME_AGAIN = {name: {"env": {"UNIAUDIO_REPRODUCIBLE": "true"}} for name in ("tokenizer", "llm")}


@pytest.fixture(scope="module")
def installed(cluster: RealCluster) -> Iterator[Release]:
    """As the chart's values for a trial make it, on a small node; a seed gives the same audio again."""
    # A cluster of this machine's own can pull nothing and has no StorageClass.
    images = {} if cluster.machine is None else trial_images()
    own = {"trial": {part: {"image": cluster.image(image)} for part, image in images.items()}}
    owners = {f"data-trial-{part}-0": image.user for part, image in images.items()}
    values = merged(read_values("trial"), small(cluster, SAME_AGAIN, own))
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


def test_it_goes_with_its_volumes(installed: Release) -> None:
    installed.uninstall()
    eventually(installed.traces, lambda found: not found)
