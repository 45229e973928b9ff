"""What cannot start is refused with a message that says what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from uniaudio.errors import StartupError
from uniaudio.stack import checks
from uniaudio.stack.plan import make_plan


def test_room_on_disk(tmp_path: Path) -> None:
    checks.check_disk(tmp_path / "not" / "there" / "yet", "the cache", needed_bytes=1)
    with pytest.raises(
        StartupError, match=r"the cache: .* MiB free, .* are needed; free some space, or set X"
    ):
        checks.check_disk(tmp_path, "the cache", needed_bytes=1 << 60, remedy="set X")


def test_model_folder(tmp_path: Path) -> None:
    checks.check_model_folder({})
    with pytest.raises(StartupError, match=r"no config\.json"):
        checks.check_model_folder({"UNIAUDIO_MODEL_DIR": str(tmp_path)})
    (tmp_path / "config.json").write_text("{}")
    checks.check_model_folder({"UNIAUDIO_MODEL_DIR": str(tmp_path)})


def test_two_services_on_one_port() -> None:
    plan = make_plan(environ={"UNIAUDIO_TOKENIZER_PORT": "7000", "UNIAUDIO_ORCHESTRATOR_PORT": "7000"})
    with pytest.raises(StartupError, match="are both 7000"):
        checks.check_ports(plan)


def test_busy_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        plan = make_plan(environ={"UNIAUDIO_ORCHESTRATOR_PORT": str(port)})
        with pytest.raises(StartupError, match=f"port {port} on 127.0.0.1 .orchestrator. is in use"):
            checks.check_ports(plan)


@pytest.mark.parametrize(("host", "why"), [("192.0.2.1", "no such address"), ("not a host", "is no address")])
def test_hosts_that_are_none(host: str, why: str) -> None:
    with pytest.raises(StartupError, match=why):
        checks.check_ports(make_plan(host=host, environ={}))


def test_everything_needed_is_installed_here() -> None:
    checks.check_python_packages()
    checks.check_python_library()


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.7", "::"])
def test_a_stack_that_others_can_reach_needs_a_word(host: str) -> None:
    with pytest.raises(StartupError, match="UNIAUDIO_ALLOW_ANONYMOUS=true"):
        checks.check_doors(make_plan(host=host, environ={}))
    with pytest.raises(StartupError, match="UNIAUDIO_ALLOW_ANONYMOUS=true"):
        checks.check_doors(make_plan(host=host, environ={"UNIAUDIO_ALLOW_ANONYMOUS": "no"}))
    checks.check_doors(make_plan(host=host, environ={"UNIAUDIO_ALLOW_ANONYMOUS": "true"}))


def test_a_stack_on_loopback_is_plain() -> None:
    checks.check_doors(make_plan(environ={"UNIAUDIO_TLS_CA_FILE": "/my/ca.pem"}))
    with pytest.raises(StartupError, match="serves plaintext"):
        checks.check_doors(make_plan(environ={"UNIAUDIO_TLS_CERT_FILE": "/my/cert.pem"}))
