"""Renders the chart with the real helm; what every test of a template starts from."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.built_tool import built_tool

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/uniaudio"
# The oldest and the newest Kubernetes that the chart is written for, as far as schemas are at hand.
KUBERNETES_VERSIONS = ("1.27", "1.37")

Manifest = dict[str, Any]


class RenderError(Exception):
    """Helm refused; the message is its own."""


@cache
def helm() -> str:
    """Helm's path; the test is skipped where it was not built."""
    return built_tool("helm", "install Go and run `make chart-lint`")


def render_chart(values: Mapping[str, object] | None = None, *, release: str = "trial") -> list[Manifest]:
    """Every manifest of the chart, each one checked against the Kubernetes API's own schemas."""
    manifests = list(_render(json.dumps(values or {}, sort_keys=True), release))
    return [json.loads(manifest) for manifest in manifests]


@cache
def _render(values: str, release: str) -> tuple[str, ...]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(values)
        file.flush()
        result = subprocess.run(
            [helm(), "template", release, str(CHART), "--namespace", "speech", "--values", file.name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if result.returncode:
        raise RenderError(result.stderr)
    manifests = [manifest for manifest in yaml.safe_load_all(result.stdout) if manifest]
    for manifest in manifests:
        for version in KUBERNETES_VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)
    return tuple(json.dumps(manifest) for manifest in manifests)


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest of that kind and name."""
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def environment(container: Manifest) -> dict[str, str]:
    """The container's environment; a name set twice fails."""
    names = [entry["name"] for entry in container["env"]]
    assert len(names) == len(set(names)), f"set twice: {names}"
    return {entry["name"]: entry["value"] for entry in container["env"]}
