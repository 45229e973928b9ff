"""The values files and the table of values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.render import (
    CHART,
    JOBS,
    Manifest,
    RenderError,
    environment,
    merged,
    pods,
    read_values,
    render_chart,
)
from tools.chart_values import with_table

SECRETS: dict[str, Any] = {
    "model": {"existingClaim": "weights"},
    "jobs": JOBS,
    "provenance": {"keysSecret": "keys"},
    "auth": {"tokensSecret": "tokens"},
    "tls": {"secret": "certificates"},
}


def test_the_readme_tells_the_values_of_now() -> None:
    readme = (CHART / "README.md").read_text()
    assert readme == with_table(readme), "run python -m tools.chart_values"


def test_a_trial_needs_nothing_else() -> None:
    manifests = render_chart(read_values("trial"))
    made = {m["metadata"]["name"] for m in manifests if m["kind"] == "Secret"}
    claims = [
        v for pod in pods(manifests).values() for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v
    ]
    assert {v["secret"]["secretName"] for v in _secret_volumes(manifests)} <= made
    assert not claims
    assert not [m for m in manifests if "nvidia.com/gpu" in str(m)]


@pytest.mark.parametrize("files", [("gpu",), ("gpu", "multi-node")], ids=str)
def test_gpus_are_asked_for_where_the_models_are(files: tuple[str, ...]) -> None:
    found = pods(render_chart(merged(*(read_values(name) for name in files), SECRETS)))
    with_gpu = {name for name, pod in found.items() if _has_gpu(pod)}
    assert with_gpu == {"tokenizer", "llm"}
    for name in with_gpu:
        spec = found[name]["spec"]
        assert [toleration["key"] for toleration in spec["tolerations"]] == ["nvidia.com/gpu"]
        device = environment(spec["containers"][0])[f"UNIAUDIO_{name.upper()}_DEVICE"]
        assert device.startswith("cuda")


def test_pools_hold_their_own_pods_alone() -> None:
    manifests = render_chart(merged(read_values("gpu"), read_values("multi-node"), SECRETS))
    pools = {name: pod["spec"].get("nodeSelector") for name, pod in pods(manifests).items()}
    assert {name for name, pool in pools.items() if pool} == {"tokenizer", "llm"}
    for name in ("tokenizer", "llm"):
        assert pools[name] == {"uniaudio/pool": name}
    kinds = ("HorizontalPodAutoscaler", "ScaledObject")
    scaled = {m["metadata"]["name"]: m["kind"] for m in manifests if m["kind"] in kinds}
    by_metrics = {f"trial-{name}": "HorizontalPodAutoscaler" for name in ("gateway", "orchestrator", "llm")}
    assert scaled == {**by_metrics, "trial-worker": "ScaledObject"}


@pytest.mark.parametrize("name", ["objectStore", "a_b", "-a", "a..b", "a" * 254])
def test_names_that_no_cluster_takes_are_refused(name: str) -> None:
    with pytest.raises(RenderError, match="secret"):
        render_chart({"model": {"store": {"url": "s3://models/x", "secret": name}}})


def _has_gpu(pod: Manifest) -> bool:
    return any("nvidia.com/gpu" in c["resources"].get("limits", {}) for c in pod["spec"]["containers"])


def _secret_volumes(manifests: list[Manifest]) -> list[Manifest]:
    return [
        volume for pod in pods(manifests).values() for volume in pod["spec"]["volumes"] if "secret" in volume
    ]
