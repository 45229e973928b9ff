"""A client of several replicas: it calls each of them, and the others where one has gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from uniaudio.runtime.ports import free_port
from uniaudio.runtime.server import client_options, server_options
from uniaudio.runtime.tls import open_channel

NUM_CALLS = 20


class Counted(health_pb2_grpc.HealthServicer):
    """Tells each call to the counter, by the replica's name."""

    def __init__(self, name: str, calls: Counter[str]) -> None:
        self._name, self._calls = name, calls

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        self._calls[self._name] += 1
        return health_pb2.HealthCheckResponse()


@asynccontextmanager
async def replica(name: str, calls: Counter[str], port: int) -> AsyncIterator[None]:
    server = grpc.aio.server(options=server_options())
    health_pb2_grpc.add_HealthServicer_to_server(Counted(name, calls), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


async def test_every_replica_is_called_and_the_rest_where_one_has_gone() -> None:
    calls: Counter[str] = Counter()
    first, second = free_port(), free_port()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(replica("stays", calls, first))
        goes = await stack.enter_async_context(AsyncExitStack())
        await goes.enter_async_context(replica("goes", calls, second))
        channel = open_channel(f"ipv4:127.0.0.1:{first},127.0.0.1:{second}", client_options())
        stub = await stack.enter_async_context(_stub(channel))
        while len(calls) < 2:
            await _call(stub)
        calls.clear()
        for _ in range(NUM_CALLS):
            await _call(stub)
        assert calls == {"stays": NUM_CALLS // 2, "goes": NUM_CALLS // 2}
        await goes.aclose()
        calls.clear()
        for _ in range(NUM_CALLS):
            await _call(stub)
        assert calls == {"stays": NUM_CALLS}


@asynccontextmanager
async def _stub(channel: grpc.aio.Channel) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    async with channel:
        yield health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]


async def _call(stub: health_pb2_grpc.HealthStub) -> None:
    await stub.Check(health_pb2.HealthCheckRequest(), timeout=10, wait_for_ready=True)
