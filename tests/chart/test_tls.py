"""templates/tls: certificates from a given secret or from cert-manager, and what uses them."""

from __future__ import annotations

import pytest

from tests.chart.render import Manifest, RenderError, environment, find, pods, render_chart

SERVERS = ("tokenizer", "llm", "orchestrator")
COMPONENTS = (*SERVERS, "gateway", "worker")
TRIAL = {"enabled": True}
GIVEN: dict[str, object] = {"trial": TRIAL, "tls": {"enabled": True, "secret": "ours"}}
MADE: dict[str, object] = {"trial": TRIAL, "tls": {"enabled": True, "certManager": {"issuer": "house"}}}
SERVED = {"UNIAUDIO_TLS_CERT_FILE", "UNIAUDIO_TLS_KEY_FILE"}
SHOWN = {"UNIAUDIO_TLS_CA_FILE", "UNIAUDIO_TLS_CLIENT_CERT_FILE", "UNIAUDIO_TLS_CLIENT_KEY_FILE"}
MUTUAL = "UNIAUDIO_TLS_CLIENT_CA_FILE"


def test_it_is_off_by_default() -> None:
    for pod in pods(render_chart({"trial": TRIAL})).values():
        (container,) = pod["spec"]["containers"]
        assert not [entry for entry in container.get("env", []) if "_TLS_C" in entry["name"]]
        assert "tls" not in [volume["name"] for volume in pod["spec"]["volumes"]]


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("values", [GIVEN, MADE], ids=["given", "made"])
def test_each_component_gets_its_files(values: dict[str, object], component: str) -> None:
    spec = pods(render_chart(values))[component]["spec"]
    (container,) = spec["containers"]
    env = environment(container)
    assert env.keys() >= (SERVED | SHOWN if component in SERVERS else SHOWN)
    secret = "ours" if values is GIVEN else f"trial-{component}-tls"
    assert {"name": "tls", "secret": {"secretName": secret}} in spec["volumes"]
    assert {"name": "tls", "mountPath": "/etc/uniaudio/tls", "readOnly": True} in container["volumeMounts"]
    files = {value for name, value in env.items() if name in {*SERVED, *SHOWN, MUTUAL}}
    assert files <= {f"/etc/uniaudio/tls/{key}" for key in ("tls.crt", "tls.key", "ca.crt")}


def test_only_services_get_into_the_inner_ones() -> None:
    found = pods(render_chart(GIVEN))
    env = {name: environment(found[name]["spec"]["containers"][0]) for name in COMPONENTS}
    for name in ("tokenizer", "llm"):
        assert MUTUAL in env[name]
        assert env[name]["UNIAUDIO_ALLOW_ANONYMOUS"] == "false"
    assert MUTUAL not in env["orchestrator"]  # callers have tokens
    asked = {"enabled": True, "secret": "ours", "callersShowCertificates": True}
    orchestrator = pods(render_chart({"tls": asked}))["orchestrator"]["spec"]["containers"][0]
    assert MUTUAL in environment(orchestrator)


def test_the_gateway_speaks_tls_where_it_is_asked_to() -> None:
    asked = {"trial": TRIAL, "tls": {"enabled": True, "secret": "ours", "gateway": True}}
    for values, scheme in ((GIVEN, "http"), (asked, "https")):
        manifests = render_chart(values)
        (container,) = pods(manifests)["gateway"]["spec"]["containers"]
        assert (environment(container).keys() >= SERVED) is (scheme == "https")
        assert MUTUAL not in environment(container)  # browsers have no certificates
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["scheme"] == scheme.upper()
        (port,) = find(manifests, "Service", "trial-gateway")["spec"]["ports"]
        assert port["appProtocol"] == scheme
        (test,) = find(manifests, "Pod", "trial-test")["spec"]["containers"]
        assert environment(test)["GATEWAY"].startswith(f"{scheme}://")
        assert ("SSL_CERT_FILE" in environment(test)) is (scheme == "https")


@pytest.mark.parametrize("component", COMPONENTS)
def test_cert_manager_makes_certificates_for_the_names_that_are_called(component: str) -> None:
    manifests = render_chart(MADE)
    spec = find(manifests, "Certificate", f"trial-{component}")["spec"]
    assert spec["secretName"] == f"trial-{component}-tls"
    assert spec["issuerRef"]["name"] == "house"
    called = [
        value.removeprefix("dns:///").partition(":")[0]
        for pod in pods(manifests).values()
        for name, value in _environment(pod).items()
        if name == f"UNIAUDIO_{component.upper()}_ADDRESS"
    ]
    assert set(called) <= set(spec["dnsNames"])
    assert "127.0.0.1" in spec["ipAddresses"]
    assert {"server auth", "client auth"} <= set(spec["usages"])


@pytest.mark.parametrize("service", SERVERS)
def test_probes_speak_tls_by_a_program_in_the_container(service: str) -> None:
    (container,) = pods(render_chart(GIVEN))[service]["spec"]["containers"]
    (port,) = [port["containerPort"] for port in container["ports"] if port["name"] == "grpc"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        command = container[probe]["exec"]["command"]
        assert command[:4] == ["python", "-m", "uniaudio.runtime.health_check", str(port)]
        assert container[probe]["timeoutSeconds"] > 5  # its own deadline


@pytest.mark.parametrize(
    "more", [{}, {"secret": "ours", "certManager": {"issuer": "house"}}], ids=["none", "two"]
)
def test_certificates_come_from_one_place(more: dict[str, object]) -> None:
    with pytest.raises(RenderError, match=r"tls\.secret, or tls\.certManager\.issuer"):
        render_chart({"tls": {"enabled": True, **more}})


def _environment(pod: Manifest) -> dict[str, str]:
    return environment(pod["spec"]["containers"][0])
