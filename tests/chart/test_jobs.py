"""Where jobs are kept: templates/worker, templates/migrate and the orchestrator's part."""

from __future__ import annotations

import pytest

from tests.chart.render import RenderError, environment, find, pods, render_chart

JOBS = {
    "database": {"secret": "database"},
    "broker": {"secret": "broker", "key": "address"},
    "objectStore": {"secret": "store", "region": "eu-north-1", "tls": False, "caSecret": "store-ca"},
}
IN_CLUSTER = {
    "UNIAUDIO_JOBS_DATABASE": "secret:database/url",
    "UNIAUDIO_JOBS_BROKER": "secret:broker/address",
    "UNIAUDIO_JOBS_STORE": "secret:store/url",
    "UNIAUDIO_S3_ENDPOINT": "secret:store/endpoint",
    "UNIAUDIO_S3_ACCESS_KEY": "secret:store/access-key",
    "UNIAUDIO_S3_SECRET_KEY": "secret:store/secret-key",
    "UNIAUDIO_S3_REGION": "eu-north-1",
    "UNIAUDIO_S3_TLS": "false",
    "UNIAUDIO_S3_CA_FILE": "/etc/uniaudio/object-store/ca.crt",
}


def test_without_secrets_the_orchestrator_does_jobs_alone() -> None:
    found = pods(render_chart())
    assert not {"worker", "migrate"} & found.keys()
    env = environment(found["orchestrator"]["spec"]["containers"][0])
    assert env["UNIAUDIO_JOBS_DIR"] == "/tmp/uniaudio-jobs"
    assert not IN_CLUSTER.keys() & env.keys()


def test_orchestrator_and_workers_share_one_place() -> None:
    found = pods(render_chart({"jobs": JOBS, "provenance": {"keysSecret": "keys"}}))
    shared = []
    for name in ("orchestrator", "worker"):
        spec = found[name]["spec"]
        env = environment(spec["containers"][0])
        assert env.items() >= IN_CLUSTER.items()
        assert "UNIAUDIO_JOBS_DIR" not in env
        mounts = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        secrets = {v["name"]: v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v}
        assert secrets[mounts["/etc/uniaudio/object-store"]] == "store-ca"
        assert secrets[mounts["/etc/uniaudio/keys"]] == "keys"
        shared.append({n: v for n, v in env.items() if "ADDRESS" in n or "KEY" in n})
    assert shared[0] == shared[1]


def test_a_worker_is_the_orchestrators_image_with_values_of_its_own() -> None:
    values = {
        "jobs": JOBS,
        "orchestrator": {"image": "registry.example/front:7"},
        "worker": {
            "replicas": 3,
            "graceSeconds": 100,
            "nodeSelector": {"pool": "jobs"},
            "env": {"UNIAUDIO_JOBS_MAX_RUNNING": "4"},
        },
    }
    worker = find(render_chart(values), "Deployment", "trial-worker")["spec"]
    spec = worker["template"]["spec"]
    (container,) = spec["containers"]
    assert worker["replicas"] == 3
    assert container["image"] == "registry.example/front:7"
    assert container["command"] == ["python", "-m", "services.orchestrator.worker"]
    assert spec["nodeSelector"] == {"pool": "jobs"}
    env = environment(container)
    assert env["UNIAUDIO_JOBS_MAX_RUNNING"] == "4"
    # Kubernetes waits longer than the process does.
    assert float(env["UNIAUDIO_ORCHESTRATOR_GRACE_SECONDS"]) < spec["terminationGracePeriodSeconds"]


def test_the_database_is_migrated_before_new_pods_come() -> None:
    manifests = render_chart({"jobs": {**JOBS, "broker": {"secret": ""}}})
    job = find(manifests, "Job", "trial-migrate")
    account = find(manifests, "ServiceAccount", "trial-migrate")
    for manifest in (job, account):
        assert manifest["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert account["metadata"]["annotations"]["helm.sh/hook-weight"] == "-1"
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert (spec["serviceAccountName"], spec["restartPolicy"]) == ("trial-migrate", "Never")
    assert container["command"] == ["python", "-m", "services.orchestrator.migrate"]
    env = environment(container)
    assert env["UNIAUDIO_JOBS_DATABASE"] == "secret:database/url"
    assert not [name for name in env if "S3" in name or "BROKER" in name]  # it gets what it needs
    assert "worker" not in pods(manifests)


@pytest.mark.parametrize(
    "given", [("database",), ("objectStore",), ("broker",), ("broker", "database")], ids=str
)
def test_half_a_place_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(RenderError, match=r"jobs\.\w+\.secret"):
        render_chart({"jobs": {name: {"secret": "x"} for name in given}})
