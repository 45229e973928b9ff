"""Ports follow the base port unless moved one by one; services are told where the others are."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniaudio.errors import StartupError
from uniaudio.stack.plan import cache_folder, make_plan, state_folder


def test_defaults_are_the_documented_ports() -> None:
    plan = make_plan(environ={})
    assert (plan.orchestrator, plan.tokenizer, plan.llm) == (
        "127.0.0.1:50051",
        "127.0.0.1:50061",
        "127.0.0.1:50071",
    )
    assert [service.name for service in plan.services] == ["tokenizer", "llm", "orchestrator", "gateway"]
    assert plan.gateway == "http://127.0.0.1:50081"
    assert plan.environment["UNIAUDIO_LLM_METRICS_PORT"] == "50073"
    assert plan.environment["UNIAUDIO_TOKENIZER_ADDRESS"] == "127.0.0.1:50061"


def test_base_port_moves_all_but_those_named() -> None:
    plan = make_plan(base_port=6000, environ={"UNIAUDIO_TOKENIZER_PORT": "7000"})
    assert (plan.orchestrator, plan.tokenizer, plan.llm) == (
        "127.0.0.1:6000",
        "127.0.0.1:7000",
        "127.0.0.1:6020",
    )


def test_listening_everywhere_is_reached_here() -> None:
    plan = make_plan(host="0.0.0.0", environ={})
    assert plan.environment["UNIAUDIO_HOST"] == "0.0.0.0"
    assert plan.orchestrator == "127.0.0.1:50051"


def test_backend_reaches_the_tokenizer() -> None:
    plan = make_plan(tokenizer_backend="local", environ={})
    assert plan.services[0].command[-2:] == ("--backend", "local")


def test_ranks_reach_the_llm() -> None:
    assert make_plan(environ={}).environment["UNIAUDIO_LLM_RANKS"] == "1"
    assert make_plan(ranks=2, environ={}).environment["UNIAUDIO_LLM_RANKS"] == "2"


@pytest.mark.parametrize("value", ["abc", "0", "65536", "-1"])
def test_ports_that_are_none(value: str) -> None:
    with pytest.raises(StartupError, match="UNIAUDIO_LLM_GRPC_PORT"):
        make_plan(environ={"UNIAUDIO_LLM_GRPC_PORT": value})


def test_cache_folder() -> None:
    assert cache_folder({"UNIAUDIO_CACHE_DIR": "/a/b"}) == Path("/a/b")
    assert cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/uniaudio")
    assert cache_folder({}).name == "uniaudio"


def test_jobs_lie_where_they_outlive_the_stack() -> None:
    plan = make_plan(base_port=6000, environ={"UNIAUDIO_STATE_DIR": "/s"})
    assert plan.environment["UNIAUDIO_JOBS_DIR"] == "/s/jobs-6000"
    assert plan.environment["UNIAUDIO_KEYS_DIR"] == "/s/keys"
    assert make_plan(environ={"UNIAUDIO_JOBS_DIR": "/j"}).environment["UNIAUDIO_JOBS_DIR"] == "/j"
    assert state_folder({"XDG_STATE_HOME": "/c"}) == Path("/c/uniaudio")


def test_how_commands_reach_others_is_not_how_the_stack_reaches_itself() -> None:
    environment = make_plan(
        environ={"UNIAUDIO_TLS": "true", "UNIAUDIO_TLS_CA_FILE": "/my/ca.pem", "KEPT": "1"}
    ).environment
    assert environment["KEPT"] == "1"
    assert not [name for name in environment if name.startswith("UNIAUDIO_TLS")]
