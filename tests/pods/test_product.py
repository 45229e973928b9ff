"""The product in pods: installed, tried, upgraded and rolled back under load, and gone without a trace."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from kubernetes import client

from tests.certificates import Authority, Pair
from tests.chart.render import CHART
from tests.chart.test_network import BARE
from tests.pods.forwarding import forwarded
from tests.pods.real_cluster import RealCluster, restricted_pod
from tests.pods.release import DRAIN_SECONDS, SECONDS, SERVICES, WORDS, Release, release, small
from tests.pods.scaling import await_replicas, feed, hasten, metric
from tests.pods.times import timed
from tests.pods.waiting import eventually
from uniaudio.client import SpeechClient, sampling
from uniaudio.errors import UnavailableError
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.llm_events import PatchEvent
from uniaudio.runtime.tls import ClientTlsSettings, client_credentials
from uniaudio.v1 import llm_pb2

# A minute of speech, by a pod so slow that it is still speaking when it must stop.
NUM_PATCHES = 600
SLOW: dict[str, Any] = {"resources": {"limits": {"cpu": "150m"}}}
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
        told = error.read().decode() if hasattr(error, "read") else ""
        failed.append(f"{time.strftime('%X')} {error!r} {told}")
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
        said = installed.test()
    assert "edited: 1.83 s became 2.29 s" in said
    assert f"heard: '{WORDS}'" in said


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
    edit, recording = (CHART / "files/edit.py").read_text(), (CHART / "files/sentence.flac").read_bytes()
    pod = restricted_pod("load", made.cluster.product("gateway"), labels={"uniaudio/caller": "true"})
    (container,) = pod["spec"]["containers"]
    container |= {
        "command": ["python", "-c", LOAD.replace("EDIT", repr(edit), 1)],
        "env": [
            {"name": "GATEWAY", "value": f"http://{made.name}-gateway:50081"},
            {"name": "SECONDS_AT_MOST", "value": "120"},
            {"name": "RECORDING", "value": base64.b64encode(recording).decode()},
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
    # Else bytes come, as Python writes them.
    log = core.read_namespaced_pod_log("load", made.namespace, _preload_content=False)
    return str(log.data.decode())


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


async def test_a_running_stream_outlives_the_scale_down(installed: Release, scalers: None) -> None:
    """KEDA hears that nothing waits and nothing runs, so the pod must stop in the midst of what it says."""
    scaling = {"by": "keda", "minReplicas": 0, "maxReplicas": 1}
    with metric(installed) as address:
        feed(installed, 30)
        slow = {"llm": {**SLOW, "autoscaling": {**scaling, "prometheus": address}}}
        installed.install(small(installed.cluster, slow), "--wait", f"--timeout={SECONDS}s")
        hasten(installed, "llm")
        with forwarded(
            installed.cluster, installed.namespace, f"service/{installed.name}-llm", 50071
        ) as port:
            patches = await _spoken_while_scaled_down(installed, f"127.0.0.1:{port}")
    assert patches == list(range(NUM_PATCHES))


async def _spoken_while_scaled_down(made: Release, address: str) -> list[int]:
    has_begun = asyncio.Event()
    async with LlmClient(address, silence_seconds=60) as llm, asyncio.TaskGroup() as group:
        stream = group.create_task(_spoken(llm, has_begun))
        await has_begun.wait()
        with timed("the queue empty, to the language model's pod told to stop"):
            await asyncio.to_thread(feed, made, 0)
            await asyncio.to_thread(await_replicas, made, "llm", 0)
        await asyncio.sleep(DRAIN_SECONDS + 1)  # by now its process was told too
        assert not stream.done(), "the stream was too short to show anything"
    return stream.result()


async def _spoken(llm: LlmClient, has_begun: asyncio.Event) -> list[int]:
    """The patches that came, by their numbers; raises where the stream breaks off."""
    speak = llm_pb2.SpeakTask(text="A clock.", min_patches=NUM_PATCHES, max_patches=NUM_PATCHES)
    options = llm_pb2.GenerateOptions(speak=speak, sampling=sampling(seed=1, num_solver_steps=64))
    indexes = []
    async for event in llm.generate(options, timeout=SECONDS):
        if isinstance(event, PatchEvent):
            indexes.append(event.index)
            has_begun.set()
    return indexes


def test_the_tokenizer_runs_in_ray(installed: Release) -> None:
    """As it does by default; on a small node one plain process is enough for the other tests."""
    installed.install(
        small(installed.cluster, {"tokenizer": {"backend": "ray"}}), "--wait", f"--timeout={SECONDS}s"
    )
    assert f"heard: '{WORDS}'" in installed.test()


def test_services_speak_tls_and_know_each_other(installed: Release, tmp_path: Path) -> None:
    """One certificate for all, as a platform may bring it; clients of the orchestrator must show one, too."""
    authority = Authority(tmp_path)
    pair = authority.pair(names=tuple(f"{installed.name}-{name}" for name in SERVICES))
    files = {"tls.crt": pair.cert, "tls.key": pair.key, "ca.crt": authority.cert}
    secret = {name: path.read_text() for name, path in files.items()}
    core = client.CoreV1Api(installed.cluster.api)
    core.create_namespaced_secret(
        installed.namespace, {"metadata": {"name": "own-tls"}, "stringData": secret}
    )
    tls = {"enabled": True, "secret": "own-tls", "callersShowCertificates": True, "gateway": True}
    installed.install(small(installed.cluster, {"tls": tls}), "--wait", f"--timeout={SECONDS}s")
    assert f"heard: '{WORDS}'" in installed.test()
    with forwarded(
        installed.cluster, installed.namespace, f"service/{installed.name}-orchestrator", 50051
    ) as port:
        with SpeechClient(f"127.0.0.1:{port}", credentials=shown(authority)) as stranger:
            with pytest.raises(UnavailableError):
                stranger.info()
        with SpeechClient(f"127.0.0.1:{port}", credentials=shown(authority, pair)) as caller:
            assert caller.info().model.name == "uniaudio-nano"
    core.delete_namespaced_secret("own-tls", installed.namespace)


def shown(authority: Authority, pair: Pair | None = None) -> grpc.ChannelCredentials | None:
    """What a caller connects with, and the certificate that it shows."""
    own: dict[str, Any] = {} if pair is None else {"client_cert_file": pair.cert, "client_key_file": pair.key}
    return client_credentials(ClientTlsSettings(ca_file=authority.cert, **own))


def test_it_goes_without_a_trace(installed: Release) -> None:
    installed.uninstall()
    eventually(installed.traces, lambda found: not found)
