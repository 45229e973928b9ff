"""The health check of probes, against a server that speaks TLS and one that does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from uniaudio.errors import UnavailableError
from uniaudio.runtime.health_check import check_health, main
from uniaudio.runtime.server import Server, ServerConfig, Service
from uniaudio.runtime.tls import ClientTlsSettings, ServerTlsSettings, server_credentials

AWAY = "uniaudio.v1.Away"


async def _fail() -> None:
    raise UnavailableError("its neighbour is away", value="away", limit="here", remedy="start it")


def _register(server: Any) -> None:
    """Health alone is asked for here."""


def _server(tls: ServerTlsSettings, *, all_good: bool = True) -> Server:
    services = [Service(name="uniaudio.v1.Here", register=_register)]
    if not all_good:
        services.append(Service(name=AWAY, register=_register, probe=_fail))
    return Server(services, ServerConfig(credentials=server_credentials(tls), grace_seconds=0))


async def test_it_trusts_whom_the_environment_says(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "other")
    pair, shown = ours.pair(), ours.pair("probe")
    server = _server(ServerTlsSettings(cert_file=pair.cert, key_file=pair.key, client_ca_file=ours.cert))
    port = await server.start()
    believing = ClientTlsSettings(ca_file=ours.cert, client_cert_file=shown.cert, client_key_file=shown.key)
    try:
        await check_health(port, "", believing)
        for stranger in (ClientTlsSettings(), ClientTlsSettings(ca_file=other.cert)):
            with pytest.raises(UnavailableError):
                await check_health(port, "", stranger)
    finally:
        await server.stop()


async def test_it_tells_one_services_health_from_the_whole() -> None:
    server = _server(ServerTlsSettings(), all_good=False)
    port = await server.start()
    try:
        assert await asyncio.to_thread(main, [str(port), "uniaudio.v1.Here"]) == 0
        assert await asyncio.to_thread(main, [str(port), AWAY]) == 1
        assert await asyncio.to_thread(main, [str(port)]) == 1
    finally:
        await server.stop()
    assert await asyncio.to_thread(main, [str(port)]) == 1
