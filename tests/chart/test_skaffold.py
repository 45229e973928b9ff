"""skaffold.yaml agrees with the chart, the services and the part of skaffold's schema that it uses."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import yaml

from tests.chart.crds import PORT, TEXT, closed, list_of
from tests.chart.render import ROOT, find, render_chart

SKAFFOLD: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())


# What skaffold v4beta12 says of the fields used here; skaffold itself is not needed to run the tests.
USED_SCHEMA = closed(
    apiVersion={"const": "skaffold/v4beta12"},
    kind={"const": "Config"},
    metadata=closed(name=TEXT),
    build=closed(
        tagPolicy=closed(inputDigest={"type": "object", "maxProperties": 0}),
        local=closed(useBuildkit={"type": "boolean"}),
        artifacts=list_of(closed(image=TEXT, context=TEXT, docker=closed(dockerfile=TEXT))),
    ),
    deploy=closed(
        helm=closed(
            releases=list_of(
                closed(
                    name=TEXT,
                    chartPath=TEXT,
                    wait={"type": "boolean"},
                    valuesFiles=list_of(TEXT),
                    setValueTemplates={"type": "object", "additionalProperties": TEXT},
                )
            )
        )
    ),
    profiles=list_of(
        closed(name=TEXT, patches=list_of(closed(op={"const": "replace"}, path=TEXT, value=list_of(TEXT))))
    ),
    portForward=list_of(
        closed(resourceType={"enum": ["service"]}, resourceName=TEXT, port=PORT, localPort=PORT),
    ),
)


def test_it_has_the_structure_that_skaffold_reads() -> None:
    jsonschema.validate(SKAFFOLD, USED_SCHEMA)


def test_every_service_of_the_chart_is_an_artifact_built_from_the_root() -> None:
    artifacts = {artifact["image"]: artifact for artifact in SKAFFOLD["build"]["artifacts"]}
    deployments = [m for m in render_chart() if m["kind"] == "Deployment"]
    images = {d["spec"]["template"]["spec"]["containers"][0]["image"].split(":")[0] for d in deployments}
    assert artifacts.keys() == images
    for image, artifact in artifacts.items():
        assert artifact["context"] == "."
        assert artifact["docker"]["dockerfile"] == f"services/{image.removeprefix('uniaudio/')}/Dockerfile"
        assert (ROOT / artifact["docker"]["dockerfile"]).is_file()


def test_profiles_replace_the_values_of_a_trial_by_the_charts_own_files() -> None:
    (release,) = SKAFFOLD["deploy"]["helm"]["releases"]
    (profile,) = SKAFFOLD["profiles"]
    (patch,) = profile["patches"]
    assert patch["path"] == "/deploy/helm/releases/0/valuesFiles"
    ours = [file for file in (*release["valuesFiles"], *patch["value"]) if file.startswith("deploy/")]
    assert ours == [f"{release['chartPath']}/values-{name}.yaml" for name in ("trial", "gpu")]
    assert all((ROOT / file).is_file() for file in ours)


def test_the_built_images_reach_the_pods() -> None:
    (release,) = SKAFFOLD["deploy"]["helm"]["releases"]
    assert (ROOT / release["chartPath"] / "Chart.yaml").is_file()
    values: dict[str, Any] = {}
    for key, template in release["setValueTemplates"].items():
        service, field = key.split(".")
        # Skaffold offers IMAGE_FULLY_QUALIFIED_<image> with every character but letters and digits as _.
        assert re.fullmatch(rf"\{{\{{\.IMAGE_FULLY_QUALIFIED_uniaudio_{service}\}}\}}", template)
        values[service] = {field: f"local/uniaudio/{service}@sha256:{'0' * 64}"}
    manifests = render_chart(values, release=release["name"])
    for service in values:
        pod = find(manifests, "Deployment", f"{release['name']}-{service}")["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"] == values[service]["image"]


def test_the_forwarded_ports_are_the_doors() -> None:
    forwarded = {forward["resourceName"]: forward["port"] for forward in SKAFFOLD["portForward"]}
    assert forwarded.keys() == {"uniaudio-gateway", "uniaudio-orchestrator"}
    for name, port in forwarded.items():
        service = find(render_chart(release="uniaudio"), "Service", name)
        assert [port["port"] for port in service["spec"]["ports"]] == [port]
