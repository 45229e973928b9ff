"""templates/collector and templates/monitoring: what services send arrives, is watched, and can be looked at."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.promtool import Case, Groups, check_alert, check_rules
from tests.chart.render import Manifest, RenderError, environment, find, pods, render_chart
from tests.prometheus_names import prometheus_samples

ALL: dict[str, object] = {
    "collector": {"enabled": True},
    "monitoring": {name: {"enabled": True} for name in ("serviceMonitor", "dashboards", "rules")},
}
OURS = 'uniaudio_release="speech/trial"'
CALLS = f'job="orchestrator",rpc_method="/uniaudio.v1.SpeechService/Edit",{OURS}'
PROBES = f'job="orchestrator",rpc_method="/grpc.health.v1.Health/Check",{OURS}'
QUIET = {f'uniaudio_queued_audio_seconds{{queue="requests",{OURS}}}': "0x800"}


def _waiting(queue: str, values: str, of: str = OURS) -> dict[str, str]:
    return {f'uniaudio_queued_audio_seconds{{queue="{queue}",instance="1",{of}}}': values}


def _speech(work: str) -> dict[str, str]:
    return {
        f"uniaudio_speech_work_seconds_total{{{OURS}}}": work,
        f"uniaudio_speech_audio_seconds_total{{{OURS}}}": "0+60x60",
    }


def _patches(late: str) -> dict[str, str]:
    return {f"engine_underruns_total{{{OURS}}}": late, f"engine_patches_total{{{OURS}}}": "0+1000x60"}


def _calls(failed: str, code: int = 13, of: str = CALLS) -> dict[str, str]:
    return {
        f'rpc_server_errors_total{{rpc_grpc_status_code="{code}",{of}}}': failed,
        f'rpc_server_duration_seconds_count{{rpc_grpc_status_code="0",{CALLS}}}': "0+100x800",
    }


ALERTS: dict[str, tuple[Case, ...]] = {
    "UniaudioQueueLong": (
        Case(_waiting("engine", "301x30"), 10, fires=True),
        Case(_waiting("requests", "301x30"), 10, fires=True),
        Case(_waiting("engine", "301x30"), 4, fires=False),  # not for long yet
        Case(_waiting("engine", "299x30"), 20, fires=False),
        Case(_waiting("jobs", "9000x30"), 20, fires=False),  # jobs may wait
        Case(_waiting("engine", "301x30", 'uniaudio_release="other/trial"'), 20, fires=False),
    ),
    "UniaudioJobsQueueLong": (
        Case(_waiting("jobs", "36001x100"), 70, fires=True),
        Case(_waiting("jobs", "36001x100"), 50, fires=False),
        Case(_waiting("jobs", "35999x100"), 70, fires=False),
    ),
    "UniaudioSpeechSlow": (
        Case(_speech("0+66x60"), 20, fires=True),
        Case(_speech("0+54x60"), 20, fires=False),
        Case(_speech("0x60"), 20, fires=False),
    ),
    "UniaudioUnderruns": (
        Case(_patches("0+11x60"), 20, fires=True),
        Case(_patches("0+9x60"), 20, fires=False),
    ),
    "UniaudioErrorBudgetFast": (
        Case(_calls("0+8x800"), 75, fires=True),
        Case(_calls("0+7x800"), 75, fires=False),
        Case(_calls("0+8x800", code=8), 75, fires=False),  # refused for a full queue
        Case(_calls("0+8x800", of=PROBES), 75, fires=False),
        Case(_calls("0+20x60 1200x100"), 100, fires=False),  # it is over
    ),
    "UniaudioErrorBudgetSlow": (
        Case(_calls("0+4x800"), 400, fires=True),
        Case(_calls("0+2x800"), 400, fires=False),
        Case(_calls("0+4x400 1600x400"), 500, fires=False),  # it is over
    ),
    "UniaudioNumbersMissing": (
        Case({}, 15, fires=True),
        Case(QUIET, 15, fires=False),
    ),
}


@pytest.fixture(scope="module")
def groups() -> Groups:
    found: Groups = find(render_chart(ALL), "PrometheusRule", "trial-monitoring")["spec"]["groups"]
    return found


def test_it_is_off_by_default() -> None:
    manifests = render_chart()
    assert not {"ServiceMonitor", "PrometheusRule", "ConfigMap"} & {m["kind"] for m in manifests}
    assert "collector" not in pods(manifests)


def test_every_alert_is_tested(groups: Groups) -> None:
    assert {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule} == ALERTS.keys()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_it_should_and_not_otherwise(groups: Groups, alert: str, tmp_path: Path) -> None:
    check_alert(groups, alert, ALERTS[alert], tmp_path)


def test_thresholds_are_values(tmp_path: Path) -> None:
    rules = {"enabled": True, "queuedAudioSeconds": 50, "availability": 0.9}
    found = find(render_chart({"monitoring": {"rules": rules}}), "PrometheusRule", "trial-monitoring")
    no_label = {'uniaudio_queued_audio_seconds{queue="engine"}': "51x30"}  # without the chart's collector
    check_alert(found["spec"]["groups"], "UniaudioQueueLong", [Case(no_label, 10, fires=True)], tmp_path)
    failed = {name.replace(f",{OURS}", ""): values for name, values in _calls("0+20x800").items()}
    check_alert(found["spec"]["groups"], "UniaudioErrorBudgetFast", [Case(failed, 75, fires=False)], tmp_path)


def test_series_of_an_own_pipeline_can_be_told_apart() -> None:
    monitoring = {"selector": {"namespace": "speech"}, "rules": {"enabled": True}}
    text = str(find(render_chart({"monitoring": monitoring}), "PrometheusRule", "trial-monitoring")["spec"])
    assert 'engine_patches_total{namespace="speech"}' in text


def test_services_send_to_the_collector() -> None:
    manifests = render_chart({**ALL, "trial": {"enabled": True}})
    ports = {port["port"] for port in find(manifests, "Service", "trial-collector")["spec"]["ports"]}
    for name in ("tokenizer", "llm", "orchestrator", "gateway", "worker"):
        env = environment(pods(manifests)[name]["spec"]["containers"][0])
        assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://trial-collector:4317"
        assert float(env["OTEL_METRIC_EXPORT_INTERVAL"]) <= 15_000
    assert ports == {4317, 4318, 9464}


def test_the_collector_listens_where_its_service_leads_and_keeps_no_old_numbers() -> None:
    manifests = render_chart(ALL)
    config = _config(manifests)
    assert config["exporters"]["prometheus"]["const_labels"] == {"uniaudio_release": "speech/trial"}
    assert config["exporters"]["prometheus"]["metric_expiration"] == "60s"
    listening = [*config["receivers"]["otlp"]["protocols"].values(), config["exporters"]["prometheus"]]
    listening.append(config["extensions"]["health_check"])
    (container,) = pods(manifests)["collector"]["spec"]["containers"]
    assert {int(one["endpoint"].rpartition(":")[2]) for one in listening} == {
        port["containerPort"] for port in container["ports"]
    }
    for pipeline in config["service"]["pipelines"].values():
        assert set(pipeline["exporters"]) <= config["exporters"].keys()
        assert set(pipeline["processors"]) <= config["processors"].keys()
    assert config["service"]["pipelines"]["traces"]["exporters"] == ["nop"]


@pytest.mark.parametrize(("scheme", "insecure"), [("http", True), ("https", False)])
def test_traces_go_on_where_a_place_is_named(scheme: str, insecure: bool) -> None:
    config = _config(
        render_chart({"collector": {"enabled": True, "tracesEndpoint": f"{scheme}://tempo.monitoring:4317"}})
    )
    assert config["exporters"]["otlp"] == {"endpoint": "tempo.monitoring:4317", "tls": {"insecure": insecure}}
    assert config["service"]["pipelines"]["traces"]["exporters"] == ["otlp"]


def test_two_ways_to_send_are_refused() -> None:
    with pytest.raises(RenderError, match=r"collector\.tracesEndpoint"):
        render_chart({"collector": {"enabled": True}, "telemetry": {"otlpEndpoint": "http://x:4317"}})


def test_prometheus_finds_the_ports_by_name() -> None:
    manifests = render_chart(ALL)
    for name, honours in (("llm", False), ("collector", True)):
        spec = find(manifests, "ServiceMonitor", f"trial-{name}")["spec"]
        service = find(manifests, "Service", f"trial-{name}")
        assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        (endpoint,) = spec["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["honorLabels"] is honours


@pytest.mark.parametrize("part", ["serviceMonitor", "rules"])
def test_a_cluster_without_the_operator_is_told(part: str) -> None:
    with pytest.raises(RenderError, match=rf"monitoring\.{part}\.enabled needs monitoring.*install"):
        render_chart({"monitoring": {part: {"enabled": True}}}, is_bare=True)


def test_what_is_looked_for_by_labels_has_them() -> None:
    labels = {"release": "prometheus"}
    monitoring = {
        name: {"enabled": True, "labels": labels} for name in ("serviceMonitor", "rules", "dashboards")
    }
    manifests = render_chart({"monitoring": monitoring})
    for kind, name in (
        ("ServiceMonitor", "trial-llm"),
        ("PrometheusRule", "trial-monitoring"),
        ("ConfigMap", "trial-dashboards"),
    ):
        assert find(manifests, kind, name)["metadata"]["labels"].items() >= labels.items()


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    dashboard = json.loads(find(render_chart(ALL), "ConfigMap", "trial-dashboards")["data"]["uniaudio.json"])
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len({json.dumps(panel["gridPos"]) for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all('uniaudio_release=~"$release"' in query for query in queries)
    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(queries)]
    check_rules([{"name": "panels", "rules": rules}], tmp_path)


def test_rules_and_panels_name_numbers_that_services_send(groups: Groups) -> None:
    dashboard = json.loads(find(render_chart(ALL), "ConfigMap", "trial-dashboards")["data"]["uniaudio.json"])
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [rule["expr"] for group in groups for rule in group["rules"]]
    named = {name for query in queries for name in re.findall(r"(?<![:\w])([a-z]\w+)\{", query)}
    assert len(named) > 10
    assert named <= {sample.name for sample in prometheus_samples()}


def _config(manifests: list[Manifest]) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(
        find(manifests, "ConfigMap", "trial-collector")["data"]["config.yaml"]
    )
    return content
