"""Groups of pods by the controllers of others: ranks by LeaderWorkerSet, one Ray over many pods by KubeRay."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from services.llm.settings import LlmSettings, RankSettings
from services.tokenizer.settings import Settings as TokenizerSettings
from tests.chart.crds import pod_templates
from tests.chart.render import Manifest, RenderError, environment, find, render_chart
from uniaudio.runtime.settings import describe_settings
from uniaudio.runtime.tls import ClientTlsSettings, ServerTlsSettings

RANKS: dict[str, Any] = {"llm": {"ranks": 4, "replicas": 2}}
RAY: dict[str, Any] = {"tokenizer": {"rayService": {"enabled": True}, "replicas": 3}}
TLS = (ServerTlsSettings, ClientTlsSettings)


def _group(values: dict[str, Any] = RANKS) -> Manifest:
    return find(render_chart(values), "LeaderWorkerSet", "trial-llm")


def _containers(manifest: Manifest) -> dict[str, Manifest]:
    return {name: pod["spec"]["containers"][0] for name, pod in pod_templates(manifest).items()}


def test_one_rank_needs_no_group() -> None:
    kinds = {manifest["kind"] for manifest in render_chart(is_bare=True)}
    assert not {"LeaderWorkerSet", "RayService"} & kinds


def test_ranks_are_a_group_in_place_of_a_deployment() -> None:
    manifests = render_chart(RANKS)
    spec = find(manifests, "LeaderWorkerSet", "trial-llm")["spec"]
    assert (spec["replicas"], spec["leaderWorkerTemplate"]["size"]) == (2, 4)
    deployments = [m["metadata"]["name"] for m in manifests if m["kind"] == "Deployment"]
    assert "trial-llm" not in deployments


def test_each_rank_is_told_its_place_as_torchs_launchers_do() -> None:
    containers = _containers(_group())
    ours = {row.variable for cls in (RankSettings, LlmSettings, *TLS) for row in describe_settings(cls)}
    for name, address in (("leader", "field:status.podIP"), ("worker", "$(LWS_LEADER_ADDRESS)")):
        env = environment(containers[name])
        assert env["RANK"] == "$(LWS_WORKER_INDEX)"
        assert (env["WORLD_SIZE"], env["MASTER_ADDR"], env["MASTER_PORT"]) == ("4", address, "50079")
        assert env.keys() - {"HOME"} <= ours
    assert "command" not in containers["leader"]
    assert containers["worker"]["command"] == ["python", "-m", "services.llm.rank"]


def test_callers_reach_the_first_rank_alone() -> None:
    manifests = render_chart(RANKS)
    selector = find(manifests, "Service", "trial-llm")["spec"]["selector"]
    assert selector["leaderworkerset.sigs.k8s.io/worker-index"] == "0"
    containers = _containers(find(manifests, "LeaderWorkerSet", "trial-llm"))
    assert "ports" not in containers["worker"]
    assert "startupProbe" in containers["leader"]


def test_a_missing_rank_takes_the_first_out_of_service_and_a_hanging_one_is_ended() -> None:
    containers = _containers(_group())
    assert containers["leader"]["readinessProbe"]["exec"]["command"] == [
        "python",
        "-m",
        "services.llm",
        "check",
    ]
    alive = containers["worker"]["livenessProbe"]["exec"]["command"]
    assert alive == ["python", "-m", "services.llm.rank", "check"]
    (alone,) = find(render_chart(), "Deployment", "trial-llm")["spec"]["template"]["spec"]["containers"]
    assert "grpc" in alone["readinessProbe"]


def test_groups_are_scaled_as_wholes() -> None:
    manifests = render_chart({"llm": {**RANKS["llm"], "autoscaling": {"by": "hpa"}}})
    target = find(manifests, "HorizontalPodAutoscaler", "trial-llm")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("LeaderWorkerSet", "trial-llm")
    assert "replicas" not in find(manifests, "LeaderWorkerSet", "trial-llm")["spec"]


def test_what_a_lost_rank_does_and_where_a_group_lies_are_values() -> None:
    group = _group()
    assert group["spec"]["leaderWorkerTemplate"]["restartPolicy"] == "None"
    assert "annotations" not in group["metadata"]
    other = _group(
        {"llm": {"ranks": 2, "groupRestart": "RecreateGroupOnPodRestart", "groupTopology": "rack"}}
    )
    assert other["spec"]["leaderWorkerTemplate"]["restartPolicy"] == "RecreateGroupOnPodRestart"
    assert other["metadata"]["annotations"] == {"leaderworkerset.sigs.k8s.io/exclusive-topology": "rack"}


def test_a_ray_over_many_pods_serves_the_same_application() -> None:
    spec = find(render_chart(RAY), "RayService", "trial-tokenizer")["spec"]
    config = yaml.safe_load(spec["serveConfigV2"])
    assert config["grpc_options"]["port"] == 50061
    (application,) = config["applications"]
    assert application["import_path"] == "services.tokenizer.kuberay:application"
    cluster = spec["rayClusterConfig"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["replicas"] == workers["minReplicas"] == workers["maxReplicas"] == 3
    # A replica takes one of Ray's CPUs: each worker offers one, the head none.
    assert workers["rayStartParams"]["num-cpus"] == "1"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_its_pods_know_the_model_and_the_number_of_replicas() -> None:
    values = {**RAY, "model": {"store": {"url": "s3://models/x", "secret": "models"}}}
    templates = pod_templates(find(render_chart(values), "RayService", "trial-tokenizer"))
    ours = {row.variable for cls in (TokenizerSettings, *TLS) for row in describe_settings(cls)}
    for pod in templates.values():
        env = environment(pod["spec"]["containers"][0])
        assert {name for name in env if name.startswith("UNIAUDIO_")} <= ours
        assert env["UNIAUDIO_TOKENIZER_MIN_REPLICAS"] == env["UNIAUDIO_TOKENIZER_MAX_REPLICAS"] == "3"
        assert env["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert "initContainers" in templates["worker"]["spec"]
    head = templates["head"]["spec"]
    assert "initContainers" not in head
    assert not [volume for volume in head["volumes"] if volume["name"].startswith("model")]


def test_callers_reach_its_workers_alone() -> None:
    service = find(render_chart(RAY), "Service", "trial-tokenizer")["spec"]
    assert service["selector"]["ray.io/node-type"] == "worker"
    assert not [
        m for m in render_chart(RAY) if m["kind"] == "Deployment" and "tokenizer" in m["metadata"]["name"]
    ]


@pytest.mark.parametrize("values", [RANKS, RAY], ids=["ranks", "ray"])
def test_pods_of_groups_are_restricted(values: dict[str, Any]) -> None:
    groups = [manifest for manifest in render_chart(values) if pod_templates(manifest)]
    assert len(groups) == 1
    for pod in pod_templates(groups[0]).values():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (RANKS, r"llm\.ranks above 1 needs leaderworkerset.*install LeaderWorkerSet's controller"),
        (RAY, r"tokenizer\.rayService\.enabled needs ray\.io/v1/RayService.*install KubeRay"),
    ],
    ids=["ranks", "ray"],
)
def test_a_cluster_without_the_controller_is_told(values: dict[str, Any], named: str) -> None:
    with pytest.raises(RenderError, match=named):
        render_chart(values, is_bare=True)


def test_a_ray_of_many_pods_beside_tls_is_refused() -> None:
    with pytest.raises(RenderError, match="cannot speak TLS"):
        render_chart({**RAY, "tls": {"enabled": True, "secret": "ours"}})
