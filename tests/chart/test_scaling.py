"""templates/scaling, and how pods are placed and stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, text

from services.orchestrator.jobs.tables import ITEMS, METADATA, RECORDINGS
from tests.chart.promtool import check_value
from tests.chart.render import Manifest, RenderError, environment, find, pods, render_chart

SERVICES = ("tokenizer", "llm", "orchestrator", "gateway")
LONGEST = {"gateway": 100, "orchestrator": 100, "tokenizer": 100, "llm": 40}
TRIAL = {"enabled": True}


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_that_stops_ends_its_longest_call(service: str) -> None:
    values = {"limits": {"requestSeconds": 100, "generationSeconds": 40, "drainSeconds": 7}}
    spec = pods(render_chart(values))[service]["spec"]
    (container,) = spec["containers"]
    env = environment(container)
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert env[f"UNIAUDIO_{service.upper()}_GRACE_SECONDS"] == str(LONGEST[service])
    assert spec["terminationGracePeriodSeconds"] > 7 + LONGEST[service]


def test_calls_are_as_long_as_the_limits_say() -> None:
    found = pods(render_chart({"limits": {"requestSeconds": 100, "generationSeconds": 40}, "trial": TRIAL}))
    env = {name: environment(found[name]["spec"]["containers"][0]) for name in (*SERVICES, "worker")}
    for name in ("gateway", "orchestrator"):
        assert env[name][f"UNIAUDIO_{name.upper()}_MAX_REQUEST_SECONDS"] == "100"
    assert env["llm"]["UNIAUDIO_LLM_MAX_DEADLINE_SECONDS"] == "40"
    for name in ("orchestrator", "worker"):
        assert env[name]["UNIAUDIO_ORCHESTRATOR_MAX_GENERATION_SECONDS"] == "40"


@pytest.mark.parametrize("component", [*SERVICES, "worker"])
def test_pods_of_a_kind_are_spread_and_evicted_one_by_one(component: str) -> None:
    manifests = render_chart({"trial": TRIAL, component: {"priorityClassName": "speech"}})
    deployment = find(manifests, "Deployment", f"trial-{component}")["spec"]
    budget = find(manifests, "PodDisruptionBudget", f"trial-{component}")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    spec = deployment["template"]["spec"]
    spread = spec["topologySpreadConstraints"]
    assert [rule["topologyKey"] for rule in spread] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert all(rule["labelSelector"] == deployment["selector"] for rule in spread)
    assert spec["priorityClassName"] == "speech"


def test_services_go_before_jobs_by_classes_of_the_releases_own() -> None:
    manifests = render_chart({"trial": TRIAL, "priorityClasses": {"enabled": True}})
    classes = {m["metadata"]["name"]: m for m in _of_kind(manifests, "PriorityClass")}
    live, batch = classes["speech-trial-live"], classes["speech-trial-batch"]
    assert live["value"] > batch["value"]
    assert (live["preemptionPolicy"], batch["preemptionPolicy"]) == ("PreemptLowerPriority", "Never")
    found = pods(manifests)
    assert found["worker"]["spec"]["priorityClassName"] == "speech-trial-batch"
    for service in SERVICES:
        assert found[service]["spec"]["priorityClassName"] == "speech-trial-live"
    named = {"priorityClasses": {"enabled": True}, "llm": {"priorityClassName": "ours"}}
    assert pods(render_chart(named))["llm"]["spec"]["priorityClassName"] == "ours"
    assert not _of_kind(render_chart(), "PriorityClass")


@pytest.mark.parametrize("service", ["gateway", "orchestrator"])
def test_doors_scale_by_cpu(service: str) -> None:
    assert not _of_kind(render_chart(), "HorizontalPodAutoscaler")
    values = {service: {"autoscaling": {"enabled": True, "cpuPercent": 55}}}
    manifests = render_chart(values)
    spec = find(manifests, "HorizontalPodAutoscaler", f"trial-{service}")["spec"]
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 55
    assert spec["scaleTargetRef"]["name"] == f"trial-{service}"
    assert "replicas" not in find(manifests, "Deployment", f"trial-{service}")["spec"]


@pytest.mark.parametrize("component", ["llm", "worker"])
def test_work_scales_by_what_waits(component: str) -> None:
    scaling = {"by": "hpa", "minReplicas": 1, "queuedAudioSeconds": 90}
    manifests = render_chart({"trial": TRIAL, component: {"autoscaling": scaling}})
    spec = find(manifests, "HorizontalPodAutoscaler", f"trial-{component}")["spec"]
    external = spec["metrics"][0]["external"]
    queue = {"llm": "engine", "worker": "jobs"}[component]
    assert external["metric"] == {
        "name": "uniaudio_queued_audio_seconds",
        "selector": {"matchLabels": {"queue": queue}},
    }
    assert external["target"] == {"type": "AverageValue", "averageValue": "90"}
    assert "replicas" not in find(manifests, "Deployment", f"trial-{component}")["spec"]


def test_keda_scales_workers_to_zero_by_the_jobs_database() -> None:
    manifests = render_chart({"trial": TRIAL, "worker": {"autoscaling": {"by": "keda"}}})
    spec = find(manifests, "ScaledObject", "trial-worker")["spec"]
    assert spec["minReplicaCount"] == 0
    assert spec["scaleTargetRef"]["name"] == "trial-worker"
    (trigger,) = spec["triggers"]
    authentication = find(manifests, "TriggerAuthentication", trigger["authenticationRef"]["name"])["spec"]
    secret = {"parameter": "connection", "name": "trial-trial", "key": "database-url"}
    assert authentication["secretTargetRef"] == [secret]
    # KEDA comes from a namespace of its own, for which the short name of a Service is unknown.
    assert (
        "@trial-postgresql.speech:" in find(manifests, "Secret", "trial-trial")["stringData"]["database-url"]
    )


@pytest.mark.parametrize(
    ("states", "seconds"), [((), 0), (("succeeded", "failed"), 0), (("queued", "running", "succeeded"), 23)]
)
def test_its_query_counts_the_seconds_that_wait_or_run(states: tuple[str, ...], seconds: int) -> None:
    manifests = render_chart({"trial": TRIAL, "worker": {"autoscaling": {"by": "keda"}}})
    (trigger,) = find(manifests, "ScaledObject", "trial-worker")["spec"]["triggers"]
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        for index, state in enumerate(states):
            recording = _row(RECORDINGS, recording_id=str(index), sha256=str(index), audio_seconds=10.5)
            item = _row(ITEMS, recording_id=str(index), item_index=index, state=state)
            connection.execute(insert(RECORDINGS).values(recording))
            connection.execute(insert(ITEMS).values(item))
        assert connection.execute(text(trigger["metadata"]["query"])).scalar_one() == seconds
    engine.dispose()


def test_keda_scales_the_model_by_prometheus(tmp_path: Path) -> None:
    scaling = {"by": "keda", "minReplicas": 0, "prometheus": "http://prometheus.monitoring:9090"}
    spec = find(render_chart({"llm": {"autoscaling": scaling}}), "ScaledObject", "trial-llm")["spec"]
    (trigger,) = spec["triggers"]
    assert spec["minReplicaCount"] == 0
    series = {
        "busy": {
            'uniaudio_queued_audio_seconds{queue="engine",instance="1"}': 30,
            'engine_running{instance="1"}': 2,
        },
        "gone": {'uniaudio_queued_audio_seconds{queue="jobs",instance="1"}': 70},
        "idle": {
            'uniaudio_queued_audio_seconds{queue="engine",instance="1"}': 0,
            'engine_running{instance="1"}': 0,
            'uniaudio_queued_audio_seconds{queue="jobs",instance="1"}': 70,
        },
    }
    expected = {"busy": 32, "gone": 70, "idle": 0}
    for name, values in series.items():
        check_value(trigger["metadata"]["query"], values, expected[name], tmp_path)


@pytest.mark.parametrize(
    ("scaling", "named"),
    [({"by": "hpa", "minReplicas": 0}, "minReplicas"), ({"by": "keda"}, "prometheus")],
    ids=["zero", "prometheus"],
)
def test_scaling_that_cannot_work_is_refused(scaling: dict[str, object], named: str) -> None:
    with pytest.raises(RenderError, match=rf"llm\.autoscaling\.{named}"):
        render_chart({"llm": {"autoscaling": scaling}})


def _of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def _row(table: Any, **values: object) -> dict[str, object]:
    """A row with something in every column that must have something."""
    empty = {str: "", int: 0, float: 0.0}
    needed = [column for column in table.columns if not column.nullable]
    return {column.name: empty[column.type.python_type] for column in needed} | values
