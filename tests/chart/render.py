"""Renders the chart with the real helm; what every test of a template starts from."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.built_tool import built_tool
from tests.chart.crds import CUSTOM, KNOWN, pod_templates

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/uniaudio"
# The oldest and the newest Kubernetes that the chart is written for, as far as schemas are at hand.
KUBERNETES_VERSIONS = ("1.27", "1.37")

Manifest = dict[str, Any]

JOBS = {
    "database": {"secret": "database"},
    "broker": {"secret": "broker"},
    "objectStore": {"secret": "objects"},
}
"""Values that keep jobs in places of a platform's own."""


class RenderError(Exception):
    """Helm refused; the message is its own."""


@cache
def helm() -> str:
    """Helm's path; the test is skipped where it was not built."""
    return built_tool("helm", "install Go and run `make chart-lint`")


def render_chart(
    values: Mapping[str, object] | None = None, *, release: str = "trial", is_bare: bool = False
) -> list[Manifest]:
    """Every manifest of the chart, each one checked against the Kubernetes API's own schemas.

    A bare cluster knows none of the custom resources that the chart asks for.
    """
    manifests = _render(json.dumps(values or {}, sort_keys=True), release, () if is_bare else KNOWN)
    return [json.loads(manifest) for manifest in manifests]


@cache
def _render(values: str, release: str, known: tuple[str, ...]) -> tuple[str, ...]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(values)
        file.flush()
        result = _template(release, CHART, known, "--values", file.name)
    if result.returncode:
        raise RenderError(result.stderr)
    manifests = [manifest for manifest in yaml.safe_load_all(result.stdout) if manifest]
    texts = tuple(json.dumps(manifest) for manifest in manifests)
    for text in texts:
        _validate(text)
    return texts


def render_notes(values: Mapping[str, object] | None = None) -> str:
    """What helm tells after an installation: `helm template` leaves it out, so a copy of the chart shows it."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / "uniaudio"
        shutil.copytree(CHART, chart)
        (chart / "templates/NOTES.txt").rename(chart / "notes")
        shown = '{{ dict "notes" (tpl (.Files.Get "notes") .) | toYaml }}'
        (chart / "templates/shown.yaml").write_text(shown)
        (chart / "given.json").write_text(json.dumps(values or {}))
        given = ["--values", str(chart / "given.json"), "--show-only", "templates/shown.yaml"]
        result = _template("trial", chart, KNOWN, *given)
    if result.returncode:
        raise RenderError(result.stderr)
    return str(yaml.safe_load(result.stdout)["notes"])


def _template(
    release: str, chart: Path, known: tuple[str, ...], *given: str
) -> subprocess.CompletedProcess[str]:
    """Rendered for a cluster that knows some custom resources, and for none in particular otherwise."""
    apis = [argument for kind in known for argument in ("--api-versions", kind)]
    return _helm("template", release, str(chart), "--namespace", "speech", *given, *apis)


def _helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [helm(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@cache
def _validate(manifest: str) -> None:
    """Most manifests are the same in most renderings."""
    content = json.loads(manifest)
    if content["kind"] in CUSTOM:
        jsonschema.validate(content, CUSTOM[content["kind"]])
        for name, template in pod_templates(content).items():
            metadata = {**template["metadata"], "name": name}
            _validate(json.dumps({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}))
        return
    for version in KUBERNETES_VERSIONS:
        kubernetes_validate.validate(content, version, strict=True)


def read_values(name: str) -> dict[str, Any]:
    """One of the chart's values files."""
    content: dict[str, Any] = yaml.safe_load((CHART / f"values-{name}.yaml").read_text())
    return content


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Layers of values over each other, as helm lays files."""
    found: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = merged(found[key], value) if both else value
    return found


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest of that kind and name."""
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def environment(container: Manifest) -> dict[str, str]:
    """The container's environment; references read "secret:NAME/KEY" and "field:PATH", a name set twice fails."""
    names = [entry["name"] for entry in container["env"]]
    assert len(names) == len(set(names)), f"set twice: {names}"
    return {entry["name"]: _value(entry) for entry in container["env"]}


def _value(entry: Manifest) -> str:
    if "value" in entry:
        return str(entry["value"])
    if "fieldRef" in entry["valueFrom"]:
        return f"field:{entry['valueFrom']['fieldRef']['fieldPath']}"
    reference = entry["valueFrom"]["secretKeyRef"]
    return f"secret:{reference['name']}/{reference['key']}"


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod template of everything that makes pods, by the component's name: of groups, the one that is called."""
    found = [m["spec"]["template"] for m in manifests if m["kind"] in ("Deployment", "StatefulSet", "Job")]
    found += [m for m in manifests if m["kind"] == "Pod"]
    found += [next(iter(groups.values())) for m in manifests if (groups := pod_templates(m))]
    return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for pod in found}
