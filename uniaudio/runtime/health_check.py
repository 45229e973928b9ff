"""Asks the gRPC service on a port of this machine how it is: `python -m uniaudio.runtime.health_check PORT [SERVICE]`.

For probes of servers that speak TLS, which Kubernetes' own gRPC probes do not; it trusts whom the environment says.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.server import client_options
from uniaudio.runtime.settings import read_settings
from uniaudio.runtime.tls import ClientTlsSettings, open_channel

_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where the service is SERVING, 1 where it is not or does not answer."""
    parser = argparse.ArgumentParser(
        prog="python -m uniaudio.runtime.health_check", description="Exit 0 where a gRPC service is SERVING."
    )
    parser.add_argument("port", type=int, help="its port on 127.0.0.1")
    parser.add_argument("service", nargs="?", default="", help="whose health; the whole server's otherwise")
    given = parser.parse_args(arguments)
    setup_logging("health_check")
    try:
        asyncio.run(check_health(given.port, given.service, read_settings(ClientTlsSettings)))
    except UniaudioError as error:
        get_logger(__name__).error("not serving", reason=error.reason, error=error.message)
        return 1
    return 0


async def check_health(port: int, service: str, tls: ClientTlsSettings) -> None:
    """Returns where `service` on this machine's `port` is SERVING. Raises UnavailableError or StartupError."""
    async with open_channel(f"127.0.0.1:{port}", client_options(), tls) as channel:
        stub = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _away(port, service, f"{error.code().name} {error.details()}") from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise _away(port, service, health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _away(port: int, service: str, why: str) -> UnavailableError:
    return UnavailableError(
        f"{service or 'the server'} on port {port} is not SERVING: {why}",
        value=why,
        limit="SERVING",
        remedy="look at its log",
    )


if __name__ == "__main__":
    sys.exit(main())
