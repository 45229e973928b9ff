"""What holds for every template: values are described, pods are restricted, names agree."""

from __future__ import annotations

import json
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from tests.chart.render import CHART, JOBS, ROOT, RenderError, environment, find, helm, pods, render_chart

GRPC_SERVICES = ("tokenizer", "llm", "orchestrator")
SERVICES = (*GRPC_SERVICES, "gateway")
TRIAL_PARTS = ("postgresql", "redis", "minio")
IN_CLUSTER = {
    "model": {"existingClaim": "weights"},
    "jobs": JOBS,
}


def test_the_chart_passes_the_strict_linter() -> None:
    result = subprocess.run(
        [helm(), "lint", "--strict", str(CHART)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_chart_and_distribution_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_one_name_everywhere(service: str) -> None:
    manifests = render_chart()
    assert (ROOT / "services" / service).is_dir()
    deployment = find(manifests, "Deployment", f"trial-{service}")
    pod = deployment["spec"]["template"]
    assert [c["name"] for c in pod["spec"]["containers"]] == [service]
    assert pod["spec"]["containers"][0]["image"].split(":")[0] == f"uniaudio/{service}"
    assert pod["spec"]["serviceAccountName"] == f"trial-{service}"
    account = find(manifests, "ServiceAccount", f"trial-{service}")
    assert account["automountServiceAccountToken"] is False
    selector = find(manifests, "Service", f"trial-{service}")["spec"]["selector"]
    assert selector == deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "values",
    [{}, {**IN_CLUSTER, "collector": {"enabled": True}}, {"trial": {"enabled": True}}],
    ids=["bare", "cluster", "trial"],
)
def test_pods_meet_the_restricted_security_standard(values: dict[str, object]) -> None:
    for name, pod in pods(render_chart(values)).items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] >= (70 if name in TRIAL_PARTS else 10000)
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]]
            assert "memory" in container["resources"]["limits"]
        assert {"emptyDir", "persistentVolumeClaim", "secret", "configMap"} >= {
            key for volume in spec["volumes"] for key in volume if key != "name"
        }


@pytest.mark.parametrize("service", GRPC_SERVICES)
def test_probes_ask_the_grpc_port(service: str) -> None:
    (container,) = find(render_chart(), "Deployment", f"trial-{service}")["spec"]["template"]["spec"][
        "containers"
    ]
    (port,) = [port["containerPort"] for port in container["ports"] if port["name"] == "grpc"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"]["port"] == port, probe
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_takes_its_own_placement_and_environment(service: str) -> None:
    values = {
        service: {
            "replicas": 3,
            "nodeSelector": {"pool": "speech"},
            "tolerations": [{"key": "speech", "operator": "Exists", "effect": "NoSchedule"}],
            "env": {"UNIAUDIO_EXAMPLE": "7"},
        }
    }
    for other in SERVICES:
        deployment = find(render_chart(values), "Deployment", f"trial-{other}")["spec"]
        spec = deployment["template"]["spec"]
        mine = other == service
        assert deployment["replicas"] == (3 if mine else 1)
        assert spec.get("nodeSelector") == ({"pool": "speech"} if mine else None)
        assert ("tolerations" in spec) is mine
        assert ("UNIAUDIO_EXAMPLE" in environment(spec["containers"][0])) is mine


@pytest.mark.parametrize("service", SERVICES)
def test_telemetry_is_off_until_an_endpoint_is_named(service: str) -> None:
    def read(values: dict[str, Any]) -> dict[str, str]:
        spec = find(render_chart(values), "Deployment", f"trial-{service}")["spec"]["template"]["spec"]
        return environment(spec["containers"][0])

    assert not [name for name in read({}) if name.startswith("OTEL_")]
    on = read({"telemetry": {"otlpEndpoint": "http://collector:4317"}})
    assert on["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4317"
    assert on["OTEL_SERVICE_NAME"] == service


def test_images_come_from_the_named_registry() -> None:
    values = {
        "image": {
            "registry": "registry.example/speech",
            "tag": "1.2.3",
            "pullSecrets": [{"name": "registry-login"}],
        }
    }
    for service in SERVICES:
        spec = find(render_chart(values), "Deployment", f"trial-{service}")["spec"]["template"]["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["image"] == f"registry.example/speech/uniaudio/{service}:1.2.3"
        assert spec["imagePullSecrets"] == [{"name": "registry-login"}]


@pytest.mark.parametrize(
    "values",
    [
        {"llm": {"replica": 2}},
        {"lmm": {}},
        {"llm": {"resources": {"request": {}}}},
        {"llm": {"ports": {"grpc": 70000}}},
        {"tokenizer": {"backend": "rays"}},
        {"logLevel": "loud"},
        {"telemetry": {"otlpEndpoint": "collector:4317"}},
        {"model": {"directory": "/etc"}},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(RenderError, match="schema"):
        render_chart(values)


def test_every_value_is_described_and_every_object_closed() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    _check_described(schema, "values")


def _check_described(schema: dict[str, Any], path: str) -> None:
    for name, value in schema.get("properties", {}).items():
        assert value.get("description"), f"{path}.{name} has no description"
        _check_described(value, f"{path}.{name}")
    if "properties" in schema:
        assert schema["additionalProperties"] is False, f"{path} takes unknown values"
    if "items" in schema:
        _check_described(schema["items"], f"{path}[]")
    for name, part in schema.get("$defs", {}).items():
        _check_described(part, name)
