"""templates/orchestrator."""

from __future__ import annotations

import pytest

from tests.chart.render import environment, find, render_chart


def test_it_is_told_where_the_others_are() -> None:
    manifests = render_chart({"tokenizer": {"port": 6000}, "llm": {"ports": {"grpc": 7001}}})
    (container,) = find(manifests, "Deployment", "trial-orchestrator")["spec"]["template"]["spec"][
        "containers"
    ]
    env = environment(container)
    assert env["UNIAUDIO_TOKENIZER_ADDRESS"] == "dns:///trial-tokenizer:6000"
    assert env["UNIAUDIO_LLM_ADDRESS"] == "dns:///trial-llm:7001"
    for name in ("tokenizer", "llm"):
        assert find(manifests, "Service", f"trial-{name}")


def test_it_holds_no_model() -> None:
    spec = find(render_chart(), "Deployment", "trial-orchestrator")["spec"]["template"]["spec"]
    assert "initContainers" not in spec
    assert "UNIAUDIO_MODEL_DIR" not in environment(spec["containers"][0])
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp"]


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_the_service_is_of_the_asked_type(kind: str) -> None:
    manifests = render_chart({"orchestrator": {"serviceType": kind, "port": 443}})
    service = find(manifests, "Service", "trial-orchestrator")["spec"]
    assert (service["type"], service["ports"][0]["port"]) == (kind, 443)


def test_tokens_come_from_a_secret_and_shut_out_strangers() -> None:
    open_house = find(render_chart(), "Deployment", "trial-orchestrator")["spec"]["template"]["spec"]
    assert environment(open_house["containers"][0])["UNIAUDIO_ALLOW_ANONYMOUS"] == "true"
    manifests = render_chart({"auth": {"tokensSecret": "callers"}})
    spec = find(manifests, "Deployment", "trial-orchestrator")["spec"]["template"]["spec"]
    env = environment(spec["containers"][0])
    assert (env["UNIAUDIO_ALLOW_ANONYMOUS"], env["UNIAUDIO_KNOWN_TOKENS"]) == (
        "false",
        "/etc/uniaudio/tokens/tokens.json",
    )
    assert {"name": "tokens", "secret": {"secretName": "callers"}} in spec["volumes"]
    inner = find(manifests, "Deployment", "trial-llm")["spec"]["template"]["spec"]["containers"][0]
    assert environment(inner)["UNIAUDIO_ALLOW_ANONYMOUS"] == "true"


def test_keys_come_from_a_secret_or_are_made_for_a_trial() -> None:
    spec = find(render_chart(), "Deployment", "trial-orchestrator")["spec"]["template"]["spec"]
    assert environment(spec["containers"][0])["UNIAUDIO_KEYS_DIR"] == "/tmp/uniaudio-keys"
    manifests = render_chart({"provenance": {"keysSecret": "our-keys"}})
    spec = find(manifests, "Deployment", "trial-orchestrator")["spec"]["template"]["spec"]
    env = environment(spec["containers"][0])
    assert env["UNIAUDIO_SIGNING_KEY"] == "/etc/uniaudio/keys/signing.pem"
    assert env["UNIAUDIO_WATERMARK_KEY"] == "/etc/uniaudio/keys/watermark.key"
    assert "UNIAUDIO_KEYS_DIR" not in env
    assert {"name": "keys", "secret": {"secretName": "our-keys"}} in spec["volumes"]


def test_it_is_not_restarted_for_neighbours_that_are_away() -> None:
    (container,) = find(render_chart(), "Deployment", "trial-orchestrator")["spec"]["template"]["spec"][
        "containers"
    ]
    asked = {probe: container[probe]["grpc"]["service"] for probe in container if probe.endswith("Probe")}
    alone = "uniaudio.v1.ProvenanceService"  # the one that needs no neighbour
    assert asked == {"startupProbe": alone, "livenessProbe": alone, "readinessProbe": ""}


def test_callers_are_known_by_an_issuer_too() -> None:
    oidc = {"issuer": "https://i.example", "audience": "speech", "jwksUrl": "https://i.example/keys"}
    (container,) = find(render_chart({"auth": {"oidc": oidc}}), "Deployment", "trial-orchestrator")["spec"][
        "template"
    ]["spec"]["containers"]
    env = environment(container)
    assert env["UNIAUDIO_ALLOW_ANONYMOUS"] == "false"
    assert [env[f"UNIAUDIO_OIDC_{name}"] for name in ("ISSUER", "AUDIENCE", "JWKS_URL")] == list(
        oidc.values()
    )


def test_use_is_counted_where_a_secret_says_and_recorded_by_pod() -> None:
    auth = {"quotas": {"requestsPerMinute": 60, "storeSecret": "counts"}, "auditClaim": "records"}
    spec = find(render_chart({"auth": auth}), "Deployment", "trial-orchestrator")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    env = environment(container)
    assert env["UNIAUDIO_QUOTA_REQUESTS_PER_MINUTE"] == "60"
    assert env["UNIAUDIO_QUOTA_STORE"] == "secret:counts/url"
    assert env["UNIAUDIO_AUDIT_LOG"] == "/var/log/uniaudio/audit.log"
    assert env["POD_NAME"] == "field:metadata.name"
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "audit"]
    assert (mount["mountPath"], mount["subPathExpr"]) == ("/var/log/uniaudio", "$(POD_NAME)")
    assert {"name": "audit", "persistentVolumeClaim": {"claimName": "records"}} in spec["volumes"]
