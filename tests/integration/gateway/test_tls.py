"""The gateway as a process of its own, behind a certificate."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx

from tests.certificates import Authority
from tests.fakes_server import FakeServices


def test_it_serves_https_alone_to_whom_its_authority_signed(
    services: FakeServices, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    authority, port = Authority(tmp_path), free_port()
    shown, caller = authority.pair(), authority.pair("caller")
    environment = {
        "UNIAUDIO_GATEWAY_PORT": str(port),
        "UNIAUDIO_ORCHESTRATOR_ADDRESS": services.address,
        "UNIAUDIO_TLS_CERT_FILE": str(shown.cert),
        "UNIAUDIO_TLS_KEY_FILE": str(shown.key),
        "UNIAUDIO_TLS_CLIENT_CA_FILE": str(authority.cert),
    }
    gateway = subprocess.Popen([sys.executable, "-m", "services.gateway"], env={**os.environ, **environment})
    try:
        known, stranger = (ssl.create_default_context(cafile=authority.cert) for _ in range(2))
        known.load_cert_chain(caller.cert, caller.key)
        assert answers(f"https://localhost:{port}", known, seconds=60)
        assert not answers(f"https://localhost:{port}", stranger)
        assert not answers(f"http://localhost:{port}", known)
    finally:
        gateway.terminate()
        assert gateway.wait(30) == 0


def answers(base: str, context: ssl.SSLContext, seconds: float = 0) -> bool:
    """Whether the gateway says within so many seconds that it is ready."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(f"{base}/health/ready", verify=context, timeout=20).status_code == 200
        except httpx.TransportError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.3)
