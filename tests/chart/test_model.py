"""templates/_model.tpl: a model from a claim, from an object store by way of a cache, or nano."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.chart.render import CHART, Manifest, RenderError, environment, pods, render_chart, render_notes
from uniaudio.runtime.models.__main__ import parser
from uniaudio.runtime.s3_store import S3Settings
from uniaudio.runtime.settings import describe_settings

STORE: dict[str, Any] = {"url": "s3://models/16b/v3", "secret": "models"}
SERVICES = ("tokenizer", "llm")


def _spec(service: str, **model: object) -> Manifest:
    spec: Manifest = pods(render_chart({"model": model}))[service]["spec"]
    return spec


@pytest.mark.parametrize("service", SERVICES)
def test_a_stored_model_is_fetched_and_linked_where_the_service_looks(service: str) -> None:
    spec = _spec(service, store={**STORE, "digest": "0" * 64})
    (init,) = spec["initContainers"]
    (container,) = spec["containers"]
    assert init["command"][:3] == ["python", "-m", "uniaudio.runtime.models"]
    given = parser().parse_args([*init["command"][3:], *init["args"]])
    assert (given.command, given.url, given.digest) == ("fetch", "s3://models/16b/v3", "0" * 64)
    assert str(given.path) == environment(container)["UNIAUDIO_MODEL_DIR"] == "/models/checkpoint"
    # The link leads to the same place in both containers.
    for one in (init, container):
        mounts = {mount["mountPath"]: mount["name"] for mount in one["volumeMounts"]}
        assert mounts[str(given.cache)] == "model-cache"
        assert mounts["/models"] == "model"
    written = [mount for mount in container["volumeMounts"] if mount["name"].startswith("model")]
    assert all(mount["readOnly"] for mount in written)
    assert {"name": "model-cache", "emptyDir": {"sizeLimit": "60Gi"}} in spec["volumes"]


def test_it_is_fetched_by_an_image_that_holds_the_stores_client() -> None:
    (init,) = _spec("llm", store=STORE)["initContainers"]
    assert init["image"].startswith("uniaudio/orchestrator:")
    assert "args" not in init


def test_the_store_is_reached_as_the_values_say() -> None:
    spec = _spec("llm", store={**STORE, "region": "eu-north-1", "tls": False, "caSecret": "authority"})
    (init,) = spec["initContainers"]
    env = environment(init)
    assert env.keys() - {"HOME"} <= {row.variable for row in describe_settings(S3Settings)}
    assert env["UNIAUDIO_S3_ENDPOINT"] == "secret:models/endpoint"
    assert env["UNIAUDIO_S3_ACCESS_KEY"] == "secret:models/access-key"
    assert env["UNIAUDIO_S3_SECRET_KEY"] == "secret:models/secret-key"
    assert (env["UNIAUDIO_S3_REGION"], env["UNIAUDIO_S3_TLS"]) == ("eu-north-1", "false")
    assert env["UNIAUDIO_S3_CA_FILE"] == "/etc/uniaudio/model-store/ca.crt"
    assert {"name": "model-store-ca", "secret": {"secretName": "authority"}} in spec["volumes"]


@pytest.mark.parametrize(
    ("cache", "volume"),
    [
        ({"size": "5Gi"}, {"emptyDir": {"sizeLimit": "5Gi"}}),
        ({"claim": "ours"}, {"persistentVolumeClaim": {"claimName": "ours"}}),
        ({"hostPath": "/var/uniaudio"}, {"hostPath": {"path": "/var/uniaudio", "type": "Directory"}}),
    ],
    ids=["pod", "claim", "node"],
)
def test_the_cache_lies_where_it_is_asked_for(cache: dict[str, str], volume: dict[str, object]) -> None:
    assert {"name": "model-cache", **volume} in _spec("llm", store=STORE, cache=cache)["volumes"]


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"store": STORE, "existingClaim": "weights"}, r"model\.existingClaim and model\.store\.url"),
        ({"store": {"url": "s3://models/x"}}, r"model\.store\.secret"),
        ({"store": STORE, "cache": {"claim": "a", "hostPath": "/b"}}, r"model\.cache\.claim"),
        ({"store": {**STORE, "digest": "abc"}}, "schema"),
        ({"store": {**STORE, "url": "https://models/x"}}, "schema"),
    ],
    ids=["two places", "no secret", "two caches", "no digest", "no store"],
)
def test_what_cannot_work_is_refused(model: dict[str, object], named: str) -> None:
    with pytest.raises(RenderError, match=named):
        render_chart({"model": model})


def test_whoever_installs_it_is_told_how_to_follow() -> None:
    notes = render_notes({"model": {"store": STORE}})
    assert "--container fetch-model deployment/trial-llm" in notes
    assert "nano" not in notes
    assert "fetch-model pod/trial-llm-0" in render_notes({"model": {"store": STORE}, "llm": {"ranks": 2}})


def test_a_large_model_has_time_to_start() -> None:
    values = yaml.safe_load((CHART / "values-gpu.yaml").read_text())
    (container,) = pods(render_chart(values))["llm"]["spec"]["containers"]
    probe = container["startupProbe"]
    seconds = probe["periodSeconds"] * probe["failureThreshold"]
    assert seconds * 25e6 >= 36e9, "at the 25 MB/s of a slow volume"
    assert float(environment(container)["UNIAUDIO_LLM_START_SECONDS"]) >= seconds
