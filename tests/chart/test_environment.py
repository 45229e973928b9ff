"""Every setting of a service can be reached from values, and the chart sets none that no service reads."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import pytest

from services.gateway.settings import GatewaySettings
from services.llm.settings import LlmSettings
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.provenance.settings import ProvenanceSettings
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.voices.settings import VoicesSettings
from services.tokenizer.settings import Settings as TokenizerSettings
from tests.chart.render import JOBS, environment, pods, render_chart
from uniaudio.runtime.guard.settings import GuardSettings
from uniaudio.runtime.s3_store import S3Settings
from uniaudio.runtime.settings import DataclassType, Setting, describe_settings
from uniaudio.runtime.tls import ClientTlsSettings, ServerTlsSettings

_TLS = (ServerTlsSettings, ClientTlsSettings)  # servers are clients too: their probes
_EDITING = (OrchestratorSettings, JobsSettings, S3Settings, ProvenanceSettings)
SETTINGS: dict[str, tuple[type[DataclassType], ...]] = {
    "tokenizer": (TokenizerSettings, *_TLS),
    "llm": (LlmSettings, *_TLS),
    "orchestrator": (*_EDITING, GuardSettings, VoicesSettings, *_TLS),
    "worker": (*_EDITING, ClientTlsSettings),
    "migrate": (JobsSettings,),
    "gateway": (GatewaySettings, ClientTlsSettings),
    "test": (),
}
EVERYTHING = {
    "jobs": {**JOBS, "objectStore": {"secret": "store", "caSecret": "ca"}},
    "provenance": {"keysSecret": "keys"},
    "auth": {"tokensSecret": "tokens", "auditClaim": "records"},
    "telemetry": {"otlpEndpoint": "http://collector:4317"},
    "tls": {"enabled": True, "secret": "certificates", "callersShowCertificates": True},
    "model": {"existingClaim": "weights"},
}
# Folders of one machine's own, and a program that the image holds.
NOT_FOR_PODS = {"UNIAUDIO_JOBS_DIR", "UNIAUDIO_KEYS_DIR", "UNIAUDIO_LLM_TRITONSERVER"}


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["bare", "everything"])
def test_each_variable_is_one_that_the_service_reads(values: dict[str, object]) -> None:
    for name, pod in pods(render_chart(values)).items():
        known = {row.variable for cls in SETTINGS[name] for row in describe_settings(cls)}
        given = set(environment(pod["spec"]["containers"][0]))
        assert {variable for variable in given if variable.startswith("UNIAUDIO_")} <= known, name


def test_each_file_that_a_service_reads_can_be_given() -> None:
    found = pods(render_chart(EVERYTHING))
    for name, classes in SETTINGS.items():
        (container,) = found[name]["spec"]["containers"]
        env = environment(container)
        folders = [mount["mountPath"] for mount in container["volumeMounts"]]
        for variable in _files(classes) - NOT_FOR_PODS:
            path = Path(env[variable])
            assert any(path.is_relative_to(folder) for folder in folders), f"{name}: {variable}={path}"


def test_a_services_own_environment_wins() -> None:
    values = {"gateway": {"env": {"UNIAUDIO_LOG_LEVEL": "debug", "UNIAUDIO_GATEWAY_MAX_CONNECTIONS": "9"}}}
    env = environment(pods(render_chart(values))["gateway"]["spec"]["containers"][0])
    assert (env["UNIAUDIO_LOG_LEVEL"], env["UNIAUDIO_GATEWAY_MAX_CONNECTIONS"]) == ("debug", "9")


def _files(classes: tuple[type[DataclassType], ...]) -> set[str]:
    files = set()
    for cls in classes:
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            described: Setting = field.metadata["uniaudio.setting"]
            if Path in (hints[field.name], *typing.get_args(hints[field.name])):
                files.add(described.variable)
    return files
