"""templates/network: the rendered policies are the architecture's arrows, each one, from both ends, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.render import CHART, JOBS, Manifest, pods, render_chart

Arrow = tuple[str, str, int | str]
OUTSIDE: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())["networkPolicy"]["outside"]
ANYWHERE = "anywhere"

BARE: set[Arrow] = {
    ("callers", "gateway", 50081),
    ("callers", "orchestrator", 50051),
    ("scrapers", "llm", 50073),
    ("test", "gateway", 50081),
    ("gateway", "orchestrator", 50051),
    ("orchestrator", "tokenizer", 50061),
    ("orchestrator", "llm", 50071),
}
WORKERS: set[Arrow] = {("worker", "tokenizer", 50061), ("worker", "llm", 50071)}
TRIAL: set[Arrow] = {
    (component, part, port)
    for component in ("orchestrator", "worker")
    for part, port in (("postgresql", 5432), ("redis", 6379), ("minio", 9000))
}
CLUSTER: set[Arrow] = {
    *((component, ANYWHERE, port) for component in ("orchestrator", "worker") for port in (5432, 6379, 443)),
    ("migrate", ANYWHERE, 5432),
}
TELEMETRY: set[Arrow] = {
    *((component, ANYWHERE, 4317) for component in ("tokenizer", "llm", "orchestrator", "gateway")),
    ("llm", ANYWHERE, 4318),
}
COLLECTOR: set[Arrow] = {
    *((component, "collector", 4317) for component in ("tokenizer", "llm", "orchestrator", "gateway")),
    ("llm", "collector", 4318),
    ("scrapers", "collector", 9464),
}


@pytest.mark.parametrize(
    ("values", "arrows"),
    [
        ({}, BARE),
        ({"trial": {"enabled": True}}, BARE | WORKERS | TRIAL),
        (
            {"trial": {"enabled": True}, "worker": {"autoscaling": {"by": "keda"}}},
            BARE | WORKERS | TRIAL | {("scalers", "postgresql", 5432)},
        ),
        ({"jobs": JOBS}, BARE | WORKERS | CLUSTER),
        ({"telemetry": {"otlpEndpoint": "http://collector:4317"}}, BARE | TELEMETRY),
        ({"collector": {"enabled": True}}, BARE | COLLECTOR),
        (
            {"collector": {"enabled": True, "tracesEndpoint": "http://tempo.monitoring:4319"}},
            BARE | COLLECTOR | {("collector", ANYWHERE, 4319)},
        ),
        (
            {"model": {"store": {"url": "s3://models/x", "secret": "models"}}},
            BARE | {("tokenizer", ANYWHERE, 443), ("llm", ANYWHERE, 443)},
        ),
        ({"llm": {"ranks": 2}}, BARE | {("llm", "llm", "1024-65535")}),
        (
            {"tokenizer": {"rayService": {"enabled": True}}},
            BARE
            | {("tokenizer", "tokenizer", "1024-65535")}
            | {("rayOperator", "tokenizer", port) for port in (8265, 8000)},
        ),
        ({"auth": {"oidc": {"issuer": "https://i.example"}}}, BARE | {("orchestrator", ANYWHERE, 443)}),
        ({"auth": {"quotas": {"storeSecret": "counts"}}}, BARE | {("orchestrator", ANYWHERE, 6379)}),
    ],
    ids=[
        "bare",
        "trial",
        "keda",
        "cluster",
        "telemetry",
        "collector",
        "traces",
        "model",
        "ranks",
        "ray",
        "oidc",
        "quotas",
    ],
)
def test_the_policies_are_the_arrows(values: dict[str, object], arrows: set[Arrow]) -> None:
    manifests = render_chart(values)
    incoming, outgoing = arrows_of(manifests, "Ingress", "from"), arrows_of(manifests, "Egress", "to")
    components = pods(manifests).keys()
    assert incoming == {arrow for arrow in arrows if arrow[1] in components}
    assert outgoing == {arrow for arrow in arrows if arrow[0] in components}
    assert incoming | outgoing == arrows


def test_nothing_else_is_open() -> None:
    values: dict[str, object] = {"trial": {"enabled": True}}
    for policy in _policies(render_chart(values)):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    (everything,) = [p for p in _policies(render_chart(values)) if _component(p) == "everything"]
    assert "ingress" not in everything["spec"]
    (question,) = everything["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in question["ports"]} == {(53, "UDP"), (53, "TCP")}
    for pod in pods(render_chart(values)).values():
        chosen = everything["spec"]["podSelector"]["matchLabels"]
        assert chosen.items() <= pod["metadata"]["labels"].items()


def test_every_component_has_a_policy_of_its_own() -> None:
    for values in ({}, {"trial": {"enabled": True}}, {"jobs": JOBS}):
        manifests = render_chart(values)
        assert {_component(policy) for policy in _policies(manifests)} == {*pods(manifests), "everything"}


def test_without_callers_only_pods_of_the_release_get_in() -> None:
    manifests = render_chart({"networkPolicy": {"outside": {"callers": {"peers": []}}}})
    assert arrows_of(manifests, "Ingress", "from") == {arrow for arrow in BARE if arrow[0] != "callers"}


def test_places_outside_can_be_named() -> None:
    block = [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    outside = {"database": {"peers": block, "port": 6543}}
    manifests = render_chart({"jobs": JOBS, "networkPolicy": {"outside": outside}})
    (policy,) = [policy for policy in _policies(manifests) if _component(policy) == "migrate"]
    assert policy["spec"]["egress"] == [{"ports": [{"port": 6543, "protocol": "TCP"}], "to": block}]


def test_they_can_be_left_to_others() -> None:
    assert not _policies(render_chart({"networkPolicy": {"enabled": False}}))


def _policies(manifests: list[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]


def _component(manifest: Manifest) -> str:
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def arrows_of(manifests: list[Manifest], direction: str, side: str) -> set[Arrow]:
    """What the policies of a release let in ("Ingress", "from") or out ("Egress", "to")."""
    arrows = set()
    for policy in _policies(manifests):
        if _component(policy) == "everything":
            continue
        here = policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in policy["spec"].get(direction.lower()) or []:
            for there in _ends(rule.get(side, [])):
                ends = (there, here) if direction == "Ingress" else (here, there)
                arrows |= {(*ends, _port(port)) for port in rule["ports"]}
    return arrows


def _port(rule: Manifest) -> int | str:
    port: int = rule["port"]
    return f"{port}-{rule['endPort']}" if "endPort" in rule else port


def _ends(peers: list[Manifest]) -> Iterator[str]:
    """The components, or the one place outside, that the peers of a rule are."""
    names = {json.dumps(place["peers"]): name for name, place in OUTSIDE.items() if place["peers"]}
    if not peers:
        yield ANYWHERE
    elif json.dumps(peers) in names:
        yield names[json.dumps(peers)]
    else:
        for peer in peers:
            assert peer.keys() == {"podSelector"}
            yield peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
