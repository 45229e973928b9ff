"""templates/tokenizer."""

from __future__ import annotations

import pytest

from tests.chart.render import ROOT, environment, find, render_chart


def test_the_service_is_told_its_port_and_model() -> None:
    manifests = render_chart({"tokenizer": {"port": 6000}})
    (container,) = find(manifests, "Deployment", "trial-tokenizer")["spec"]["template"]["spec"]["containers"]
    assert environment(container)["UNIAUDIO_TOKENIZER_PORT"] == "6000"
    assert environment(container)["UNIAUDIO_MODEL_DIR"] == "/opt/uniaudio/nano"
    assert environment(container)["UNIAUDIO_HOST"] == "0.0.0.0"
    assert find(manifests, "Service", "trial-tokenizer")["spec"]["ports"][0]["port"] == 6000


@pytest.mark.parametrize("backend", ["ray", "local"])
def test_the_backend_is_chosen(backend: str) -> None:
    manifests = render_chart({"tokenizer": {"backend": backend}})
    (container,) = find(manifests, "Deployment", "trial-tokenizer")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["--backend", backend]


def test_without_a_model_nano_answers_from_the_image() -> None:
    spec = find(render_chart(), "Deployment", "trial-tokenizer")["spec"]["template"]["spec"]
    assert "initContainers" not in spec
    assert "model" not in {volume["name"] for volume in spec["volumes"]}
    folder = environment(spec["containers"][0])["UNIAUDIO_MODEL_DIR"]
    for service in ("tokenizer", "llm"):
        assert f"COPY models/nano {folder}\n" in (ROOT / "services" / service / "Dockerfile").read_text()


def test_a_claim_is_mounted_read_only() -> None:
    manifests = render_chart({"model": {"existingClaim": "weights", "directory": "16b/edit"}})
    spec = find(manifests, "Deployment", "trial-tokenizer")["spec"]["template"]["spec"]
    assert "initContainers" not in spec
    assert {"name": "model", "persistentVolumeClaim": {"claimName": "weights", "readOnly": True}} in spec[
        "volumes"
    ]
    assert environment(spec["containers"][0])["UNIAUDIO_MODEL_DIR"] == "/models/16b/edit"


def test_clients_see_every_pod() -> None:
    assert find(render_chart(), "Service", "trial-tokenizer")["spec"]["clusterIP"] == "None"
