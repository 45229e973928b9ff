"""templates/trial: a database, a broker and an object store that come along."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.orchestrator.provenance.keys import read_signing_keys, read_watermark_keys
from tests.chart.render import Manifest, RenderError, environment, find, pods, render_chart

TRIAL: dict[str, object] = {"trial": {"enabled": True}}
PARTS = {"postgresql": 5432, "redis": 6379, "minio": 9000}


def test_it_is_off_by_default() -> None:
    assert not PARTS.keys() & pods(render_chart()).keys()
    assert not [m for m in render_chart() if m["kind"] in ("Secret", "StatefulSet")]


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_one_pod_behind_a_service(part: str) -> None:
    manifests = render_chart(TRIAL)
    stateful = find(manifests, "StatefulSet", f"trial-{part}")["spec"]
    service = find(manifests, "Service", f"trial-{part}")["spec"]
    assert service["selector"] == stateful["selector"]["matchLabels"]
    assert [port["port"] for port in service["ports"]] == [PARTS[part]]
    assert stateful["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
    (container,) = stateful["template"]["spec"]["containers"]
    assert [port["containerPort"] for port in container["ports"]] == [PARTS[part]]
    assert "readinessProbe" in container


def test_addresses_lead_to_the_parts_with_their_passwords() -> None:
    manifests = render_chart(TRIAL)
    secret = find(manifests, "Secret", "trial-trial")["stringData"]
    assert secret["database-url"].endswith(
        f":{secret['database-password']}@trial-postgresql.speech:5432/uniaudio"
    )
    assert secret["broker-url"] == f"redis://:{secret['broker-password']}@trial-redis:6379/0"
    assert (secret["endpoint"], secret["url"]) == ("trial-minio:9000", "s3://uniaudio")
    assert all(len(secret[key]) >= 20 for key in secret if "password" in key or key.endswith("-key"))
    found = pods(manifests)
    referred = {v for name in found for v in _environment(found[name]).values() if v.startswith("secret:")}
    assert referred == {f"secret:trial-trial/{key}" for key in secret}


def test_the_bucket_is_the_one_that_the_address_names() -> None:
    (init,) = pods(render_chart(TRIAL))["minio"]["spec"]["initContainers"]
    assert "'/data/uniaudio'" in init["command"][-1]


def test_no_two_passwords_are_the_same() -> None:
    secret = find(render_chart(TRIAL), "Secret", "trial-trial")["stringData"]
    made = [secret[key] for key in ("database-password", "broker-password", "access-key", "secret-key")]
    assert len(set(made)) == len(made)


def test_all_pods_mark_and_sign_with_the_keys_that_were_made(tmp_path: Path) -> None:
    manifests = render_chart(TRIAL)
    keys = find(manifests, "Secret", "trial-trial-keys")["stringData"]
    for name, content in keys.items():
        (tmp_path / name).write_text(content)
    assert read_signing_keys(tmp_path / "signing.pem")
    assert read_watermark_keys(tmp_path / "watermark.key")
    for name in ("orchestrator", "worker"):
        volumes = pods(manifests)[name]["spec"]["volumes"]
        assert {"name": "keys", "secret": {"secretName": "trial-trial-keys"}} in volumes


def test_pods_migrate_the_database_that_comes_with_them() -> None:
    manifests = render_chart(TRIAL)
    assert not [m for m in manifests if m["kind"] == "Job"]  # a hook would come before the database
    for name in ("orchestrator", "worker"):
        (init,) = pods(manifests)[name]["spec"]["initContainers"]
        assert init["command"] == ["python", "-m", "services.orchestrator.migrate"]
        assert environment(init)["UNIAUDIO_JOBS_DATABASE"] == "secret:trial-trial/database-url"


def test_a_given_secret_takes_the_place_of_a_made_one() -> None:
    given = {"trial": {"enabled": True, "secret": "ours"}, "provenance": {"keysSecret": "keys"}}
    manifests = render_chart(given)
    assert not [m for m in manifests if m["kind"] == "Secret"]
    found = pods(manifests)
    referred = {v for name in found for v in _environment(found[name]).values() if v.startswith("secret:")}
    assert {value.partition("/")[0] for value in referred} == {"secret:ours"}


def test_a_trial_beside_given_places_is_refused() -> None:
    with pytest.raises(RenderError, match=r"trial\.enabled"):
        render_chart({**TRIAL, "jobs": {"broker": {"secret": "broker"}}})


def _environment(pod: Manifest) -> dict[str, str]:
    return environment(pod["spec"]["containers"][0])
