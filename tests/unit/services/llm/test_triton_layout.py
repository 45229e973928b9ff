"""What tritonserver is started with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.llm.settings import LlmSettings
from services.llm.triton_layout import lay_out, remove_stale_shm, shm_prefix, trace_url
from uniaudio.errors import StartupError


def settings(**fields: object) -> LlmSettings:
    return LlmSettings(model_dir=Path("model"), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:9999"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_SDK_DISABLED": "true"}, ""),
    ],
)
def test_tritons_spans_go_to_the_collectors_http_port(environ: dict[str, str], url: str) -> None:
    assert trace_url(settings(), environ) == url


def test_a_stated_trace_address_wins() -> None:
    stated = settings(triton_trace_url="http://other:1/v1/traces")
    command = lay_out_flags(stated)
    assert "--trace-config=opentelemetry,url=http://other:1/v1/traces" in command


def lay_out_flags(stated: LlmSettings) -> tuple[str, ...]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return lay_out(stated, Path(folder), {}).arguments


def test_the_wheels_parts_are_laid_out_for_this_python(tmp_path: Path) -> None:
    command = lay_out(settings(), tmp_path, {"PATH": "/usr/bin", "KEEP": "me"})
    assert Path(command.arguments[0]).name == "tritonserver"
    stub = tmp_path / "backends/python/triton_python_backend_stub"
    assert stub.stat().st_mode & 0o111
    assert (tmp_path / "models/uniaudio_llm/config.pbtxt").is_file()
    assert (tmp_path / "models/uniaudio_llm/1/model.py").is_file()
    assert command.environment["PATH"].endswith(":/usr/bin")
    assert command.environment["KEEP"] == "me"
    assert "--grpc-address=127.0.0.1" in command.arguments


def test_a_missing_server_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="UNIAUDIO_LLM_TRITONSERVER"):
        lay_out(settings(tritonserver=tmp_path / "nothing"), tmp_path / "x", {})


def test_shared_memory_of_the_gone_is_stale_and_of_the_living_is_not(tmp_path: Path) -> None:
    gone = 2**22 + 1  # above the kernel's largest process id
    mine, living, dead = (tmp_path / f"{shm_prefix(pid)}x" for pid in (os.getpid(), os.getppid(), gone))
    foreign = tmp_path / "triton_python_backend_shm_region_1"
    for path in (mine, living, dead, foreign):
        path.touch()
    assert remove_stale_shm(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted((living, foreign))
