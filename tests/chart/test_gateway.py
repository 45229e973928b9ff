"""templates/gateway."""

from __future__ import annotations

from tests.chart.render import environment, find, render_chart


def test_it_is_told_where_the_orchestrator_is() -> None:
    manifests = render_chart({"orchestrator": {"port": 7001}})
    (container,) = find(manifests, "Deployment", "trial-gateway")["spec"]["template"]["spec"]["containers"]
    env = environment(container)
    assert "UNIAUDIO_TOKENIZER_ADDRESS" not in env  # one door for everything
    assert env["UNIAUDIO_ORCHESTRATOR_ADDRESS"] == "dns:///trial-orchestrator:7001"


def test_probes_ask_over_http() -> None:
    manifests = render_chart({"gateway": {"port": 8080}})
    (container,) = find(manifests, "Deployment", "trial-gateway")["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")}
    # A pod whose neighbours are away takes no calls, and is not restarted for it.
    assert paths == {"readinessProbe": "/health/ready", "livenessProbe": "/health/live"}


def test_an_ingress_is_made_for_a_host() -> None:
    assert not [manifest for manifest in render_chart() if manifest["kind"] == "Ingress"]
    values = {
        "gateway": {"ingress": {"host": "speech.example", "className": "nginx", "tlsSecret": "speech-tls"}}
    }
    spec = find(render_chart(values), "Ingress", "trial-gateway")["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"hosts": ["speech.example"], "secretName": "speech-tls"}]
    backend = spec["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "trial-gateway", "port": {"name": "http"}}


def test_a_route_is_made_for_a_gateway() -> None:
    assert not [manifest for manifest in render_chart() if manifest["kind"] == "HTTPRoute"]
    route = {"gateway": "web", "namespace": "edge", "section": "https", "host": "speech.example"}
    values = {"gateway": {"route": route, "port": 8080}, "limits": {"requestSeconds": 100}}
    spec = find(render_chart(values), "HTTPRoute", "trial-gateway")["spec"]
    assert spec["parentRefs"] == [{"name": "web", "namespace": "edge", "sectionName": "https"}]
    assert spec["hostnames"] == ["speech.example"]
    rules = {rule["matches"][0]["path"]["value"]: rule for rule in spec["rules"]}
    for path, longest in {"/": 100, "/v1/audio/live": 3660}.items():
        assert rules[path]["backendRefs"] == [{"name": "trial-gateway", "port": 8080}]
        assert int(rules[path]["timeouts"]["request"].removesuffix("s")) > longest
    bare = find(render_chart({"gateway": {"route": {"gateway": "web"}}}), "HTTPRoute", "trial-gateway")
    assert bare["spec"]["parentRefs"] == [{"name": "web"}]
