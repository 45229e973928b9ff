"""The product in pods: installed, tried, upgraded and rolled back under load, and gone without a trace."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import client

from tests.chart.render import CHART
from tests.chart.test_network import BARE, arrows_of
from tests.pods.real_cluster import RealCluster, restricted_pod
from tests.pods.release import SECONDS, Release, release
from tests.pods.waiting import eventually

_log = logging.getLogger("cluster")
SERVICES = ("tokenizer", "llm", "orchestrator", "gateway")
SMALL: dict[str, Any] = {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "4Gi"}}
# What every cluster puts into a namespace by itself.
OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
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


def values(**changes: Any) -> dict[str, Any]:
    """A bare installation with the small random-weight model, on a small node."""
    parts = {name: {"resources": SMALL} for name in SERVICES}
    parts["tokenizer"]["backend"] = "local"
    limits = {"requestSeconds": 120, "generationSeconds": 120, "drainSeconds": 5}
    return {**parts, "test": {"resources": SMALL}, "limits": limits, **changes}


@pytest.fixture(scope="module")
def installed(cluster: RealCluster) -> Iterator[Release]:
    for name in SERVICES:
        cluster.product(name)
    with release(cluster, "product") as made:
        begun = time.monotonic()
        made.install(values(), "--wait", f"--timeout={SECONDS}s")
        _log.info("installed, all pods ready: %.0f s", time.monotonic() - begun)
        yield made


def test_a_recording_is_edited(installed: Release) -> None:
    begun = time.monotonic()
    told = installed.helm("test", installed.name, "--logs", f"--timeout={SECONDS}s")
    assert "edited: 1.00 s became" in told
    _log.info("helm test: %.0f s", time.monotonic() - begun)


def test_the_cluster_keeps_the_arrows_and_no_other(installed: Release) -> None:
    api = installed.cluster.api
    found = client.NetworkingV1Api(api).list_namespaced_network_policy(installed.namespace).items
    kept = [{"kind": "NetworkPolicy", **api.sanitize_for_serialization(policy)} for policy in found]
    incoming, outgoing = arrows_of(kept, "Ingress", "from"), arrows_of(kept, "Egress", "to")
    assert incoming | outgoing == BARE


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
        begun = time.monotonic()
        installed.install(values(logLevel="warning"), "--wait", f"--timeout={SECONDS}s")
        _log.info("upgraded, every pod replaced: %.0f s", time.monotonic() - begun)
        begun = time.monotonic()
        installed.helm("rollback", installed.name, "--wait", f"--timeout={SECONDS}s")
        _log.info("rolled back: %.0f s", time.monotonic() - begun)
    _log.info("calls meanwhile: %d, failed: %d", told.done, len(told.failed))
    assert told.done > 0
    assert not told.failed


@pytest.mark.parametrize("component", SERVICES)
def test_a_deleted_pod_comes_back(installed: Release, component: str) -> None:
    core = client.CoreV1Api(installed.cluster.api)
    selector = f"app.kubernetes.io/component={component}"
    (pod,) = core.list_namespaced_pod(installed.namespace, label_selector=selector).items
    begun = time.monotonic()
    core.delete_namespaced_pod(pod.metadata.name, installed.namespace, grace_period_seconds=0)
    place = f"--namespace={installed.namespace}"
    installed.cluster.kubectl(
        "rollout", "status", f"deployment/{installed.name}-{component}", place, "--timeout=300s"
    )
    installed.helm("test", installed.name, f"--timeout={SECONDS}s")
    _log.info("%s lost to the next edit: %.0f s", component, time.monotonic() - begun)


def test_it_goes_without_a_trace(installed: Release) -> None:
    installed.uninstall()
    place = f"--namespace={installed.namespace}"
    kinds = installed.cluster.kubectl(
        "api-resources", "--verbs=list", "--namespaced", "--output=name"
    ).split()
    wanted = [kind for kind in kinds if not kind.startswith("events")]
    eventually(
        lambda: set(installed.cluster.kubectl("get", ",".join(wanted), place, "--output=name").split()),
        lambda found: found <= OWN,
    )
