"""templates/llm."""

from __future__ import annotations

from tests.chart.render import environment, find, render_chart


def test_triton_is_told_its_ports_and_model() -> None:
    values = {"llm": {"ports": {"grpc": 7001, "http": 7002, "metrics": 7003}}}
    manifests = render_chart(values)
    (container,) = find(manifests, "Deployment", "trial-llm")["spec"]["template"]["spec"]["containers"]
    env = environment(container)
    assert [env[f"UNIAUDIO_LLM_{name}_PORT"] for name in ("GRPC", "HTTP", "METRICS")] == [
        "7001",
        "7002",
        "7003",
    ]
    assert env["UNIAUDIO_MODEL_DIR"] == "/opt/uniaudio/nano"
    assert env["UNIAUDIO_HOST"] == "0.0.0.0"


def test_only_grpc_and_metrics_are_reachable() -> None:
    ports = find(render_chart(), "Service", "trial-llm")["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [("grpc", 50071), ("metrics", 50073)]


def test_shared_memory_is_as_large_as_asked() -> None:
    spec = find(render_chart({"llm": {"sharedMemory": "1Gi"}}), "Deployment", "trial-llm")["spec"][
        "template"
    ]["spec"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}} in spec["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in spec["containers"][0]["volumeMounts"]


def test_a_large_model_gets_time_to_load() -> None:
    manifests = render_chart({"llm": {"startupSeconds": 3600}})
    (container,) = find(manifests, "Deployment", "trial-llm")["spec"]["template"]["spec"]["containers"]
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 3600
