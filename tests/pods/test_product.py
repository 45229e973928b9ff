"""The product in pods: installed, tried, upgraded and rolled back under load, and gone without a trace."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import client

from tests.chart.render import CHART
from tests.chart.test_network import BARE
from tests.pods.forwarding import forwarded
from tests.pods.real_cluster import RealCluster, restricted_pod
from tests.pods.release import DRAIN_SECONDS, REPRODUCIBLE, SECONDS, Release, release, small
from tests.pods.scaling import await_replicas, feed, hasten, metric
from tests.pods.times import timed
from tests.pods.waiting import eventually
from uniaudio.client import SpeechClient, sampling

# One sentence, so one generation; the language model's pod is so slow that it is still speaking when it must stop.
SENTENCE = (
    "The old clock in the hall had stopped years ago, and still somebody came on every Sunday "
    "with a cloth and a little oil to care for it."
)
SLOW: dict[str, Any] = {"llm": {"resources": {"limits": {"cpu": "200m"}}}}
NUM_STREAMS = 4
# Calls one after the other until told to stop, then says how they went. A caller that meets a pod on its way out is
# sent elsewhere by the cluster, so nothing is tried twice here.
LOAD = """
import json, pathlib, sys, time
edit = {"__name__": "edit"}
exec(compile(EDIT, "edit.py", "exec"), edit)
done, failed = 0, []
while not pathlib.Path("/tmp/stop").exists():
    try:
        edit["main"]()
        done += 1
    except BaseException as error:
        failed.append(f"{time.time():.1f} {error!r}")
    time.sleep(0.2)
print(json.dumps({"done": done, "failed": failed}))
"""


@pytest.fixture(scope="module")
def installed(cluster: RealCluster) -> Iterator[Release]:
    values = small(cluster)
    with release(cluster, "product") as made:
        with timed("bare: install to the first edit"):
            with timed("bare: install to all pods ready"):
                made.install(values, "--wait", f"--timeout={SECONDS}s")
            made.test()
        yield made


def test_a_recording_is_edited(installed: Release) -> None:
    with timed("bare: helm test"):
        assert "edited: 1.00 s became" in installed.test()


def test_the_cluster_keeps_the_arrows_and_no_other(installed: Release) -> None:
    assert installed.arrows() == BARE


@dataclass
class Told:
    """How the calls went."""

    done: int = 0
    failed: tuple[str, ...] = ()


@contextmanager
def load(made: Release) -> Iterator[Told]:
    """Calls all the while, by a pod inside; what they came to is known afterwards."""
    core = client.CoreV1Api(made.cluster.api)
    edit = (CHART / "files/edit.py").read_text()
    pod = restricted_pod("load", made.cluster.product("gateway"), labels={"uniaudio/caller": "true"})
    (container,) = pod["spec"]["containers"]
    container |= {
        "command": ["python", "-c", LOAD.replace("EDIT", repr(edit), 1)],
        "env": [
            {"name": "GATEWAY", "value": f"http://{made.name}-gateway:50081"},
            {"name": "SECONDS_AT_MOST", "value": "120"},
        ],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod["spec"] |= {"volumes": [{"name": "tmp", "emptyDir": {}}], "restartPolicy": "Never"}
    core.create_namespaced_pod(made.namespace, pod)
    told = Told()
    eventually(lambda: "edited" in _heard(core, made))
    try:
        yield told
        made.cluster.run(made.namespace, "load", "touch", "/tmp/stop")
        eventually(
            lambda: core.read_namespaced_pod("load", made.namespace).status.phase,
            lambda phase: phase == "Succeeded",
        )
        counts = json.loads(_heard(core, made).strip().splitlines()[-1])
        told.done, told.failed = counts["done"], tuple(counts["failed"])
    finally:
        core.delete_namespaced_pod("load", made.namespace, grace_period_seconds=0)
        made.cluster.kubectl(
            "wait", "pod/load", "--for=delete", f"--namespace={made.namespace}", "--timeout=120s"
        )


def _heard(core: client.CoreV1Api, made: Release) -> str:
    if core.read_namespaced_pod("load", made.namespace).status.phase == "Pending":
        return ""
    return str(core.read_namespaced_pod_log("load", made.namespace))


def test_an_upgrade_and_its_rollback_fail_no_call(installed: Release) -> None:
    with load(installed) as told:
        with timed("bare: upgrade, every pod replaced"):
            installed.install(
                small(installed.cluster, {"logLevel": "warning"}), "--wait", f"--timeout={SECONDS}s"
            )
        with timed("bare: rollback, every pod replaced"):
            installed.helm("rollback", installed.name, "--wait", f"--timeout={SECONDS}s")
    assert told.done > 0
    assert not told.failed


def test_running_streams_outlive_the_scale_down(installed: Release, scalers: None) -> None:
    scaling = {"by": "keda", "minReplicas": 0, "maxReplicas": 1}
    with metric(installed) as address, ThreadPoolExecutor(NUM_STREAMS) as pool:
        feed(installed, 30)
        scaled = {"llm": {"autoscaling": {**scaling, "prometheus": address}}}
        values = small(installed.cluster, REPRODUCIBLE, SLOW, scaled)
        installed.install(values, "--wait", f"--timeout={SECONDS}s")
        hasten(installed, "llm")
        service = (installed.namespace, f"service/{installed.name}-orchestrator", 50051)
        with forwarded(installed.cluster, *service) as port, SpeechClient(f"127.0.0.1:{port}") as client:
            streams = [Spoken(client, seed) for seed in range(NUM_STREAMS)]
            undisturbed = list(pool.map(Spoken.to_the_end, streams))
            again = [Spoken(client, seed) for seed in range(NUM_STREAMS)]
            ends = [pool.submit(stream.to_the_end) for stream in again]
            assert all(stream.has_begun.wait(SECONDS) for stream in again)
            with timed("the queue empty, to the language model's pod told to stop"):
                feed(installed, 0)
                await_replicas(installed, "llm", 0)
            time.sleep(DRAIN_SECONDS + 1)  # by now its process was told too
            assert not all(end.done() for end in ends), "the streams were too short to show anything"
            assert [end.result(SECONDS) for end in ends] == undisturbed


class Spoken:
    """The sentence while it is spoken."""

    def __init__(self, client: SpeechClient, seed: int) -> None:
        self._client = client
        self._sampling = sampling(seed=seed, num_solver_steps=64, takes=1)  # sent while it is made
        self.has_begun = threading.Event()

    def to_the_end(self) -> bytes:
        """All of its audio; raises where the stream breaks off."""
        stream = self._client.synthesize(SENTENCE, sampling=self._sampling, timeout_seconds=SECONDS)
        content = b""
        for piece in stream:
            content += piece.content
            self.has_begun.set()
        assert stream.report.audio_seconds > 0  # comes last
        return content


def test_it_goes_without_a_trace(installed: Release) -> None:
    installed.uninstall()
    eventually(installed.traces, lambda found: not found)
