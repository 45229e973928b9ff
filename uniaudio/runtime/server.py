"""A grpc.aio server that tells the truth about its health and stops without dropping calls."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]
from grpc_reflection.v1alpha import reflection

from uniaudio.errors import UniaudioError
from uniaudio.runtime.calls import Call, CallRunner
from uniaudio.runtime.interceptors import CallInterceptor
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.ports import busy_port
from uniaudio.runtime.reconnecting import RECONNECTING

log = get_logger(__name__)

MAX_MESSAGE_BYTES = 128 * 1024 * 1024
# A client that must connect anew finds replicas that came meanwhile; what runs on the old connection ends there.
MAX_CONNECTION_AGE_MS = 60_000
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where a server listens and how long it waits."""

    host: str = "127.0.0.1"
    port: int = 0
    port_variable: str = "the port setting"
    credentials: grpc.ServerCredentials | None = None
    """What TLS is served with; None is plaintext."""
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_concurrent_calls: int = 1024
    default_deadline_seconds: float = 120.0
    grace_seconds: float = 20.0
    probe_interval_seconds: float = 2.0
    probe_timeout_seconds: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service of a server.

    `register` adds its servicer: `lambda server: add_XServicer_to_server(servicer, server)`.
    `probe` returns when the service could answer a request now, and raises what is wrong otherwise.
    """

    name: str
    register: Callable[[grpc.aio.Server], None]
    probe: Callable[[], Awaitable[None]] | None = None


class Server:
    """Services on one port, with health, reflection and the house's interceptors.

    Health per service follows its probe; the empty name is SERVING when all are. What `on_stop` was
    given is closed after the last call ended, in reverse order.
    """

    def __init__(
        self,
        services: Sequence[Service],
        config: ServerConfig,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        on_end: Callable[[Call], Awaitable[None]] | None = None,
    ) -> None:
        self._services = tuple(services)
        self._config = config
        runner = CallRunner(default_deadline_seconds=config.default_deadline_seconds, on_end=on_end)
        self._interceptors = (CallInterceptor(runner), *interceptors)
        self._closing = AsyncExitStack()
        self._leaving: list[Callable[[], None]] = []
        self._health = health_aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._probing: asyncio.Task[None] | None = None
        self._was_serving: dict[str, bool] = {}
        self.port = 0

    def on_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Calls `close` when the server has stopped; the last one given is called first."""
        self._closing.push_async_callback(close)

    def on_stopping(self, leave: Callable[[], None]) -> None:
        """Calls `leave` when a stop begins: what ends only when its caller has enough must end by itself."""
        self._leaving.append(leave)

    async def start(self) -> int:
        """Listens, probes once, and returns the port. Raises StartupError for a busy port."""
        server = grpc.aio.server(
            interceptors=self._interceptors,
            options=server_options(self._config.max_message_bytes),
            maximum_concurrent_rpcs=self._config.max_concurrent_calls,
        )
        for service in self._services:
            service.register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)  # type: ignore[no-untyped-call]
        names = [service.name for service in self._services]
        shown = [*names, "grpc.health.v1.Health", reflection.SERVICE_NAME]
        reflection.enable_server_reflection(shown, server)  # type: ignore[no-untyped-call]
        address = f"{self._config.host}:{self._config.port}"
        try:
            if self._config.credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, self._config.credentials)
        except RuntimeError as error:
            raise busy_port(self._config.host, self._config.port, self._config.port_variable) from error
        await self._probe_all()
        await server.start()
        self._server = server
        self._probing = asyncio.create_task(self._keep_probing())
        log.info("listening", address=f"{self._config.host}:{self.port}", services=names)
        return self.port

    async def stop(self) -> None:
        """Reports NOT_SERVING, lets calls finish within the grace, then closes everything in reverse."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
            self._probing = None
        await self._health.enter_graceful_shutdown()
        for leave in self._leaving:
            leave()
        if self._server is not None:
            await self._server.stop(self._config.grace_seconds)
            self._server = None
        await self._closing.aclose()
        log.info("stopped")

    async def serve_until_signal(self) -> None:
        """Starts, waits for SIGTERM or SIGINT, and stops."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        try:
            await self.start()
            await stopping.wait()
            log.info("stopping", grace_seconds=self._config.grace_seconds)
        finally:
            await self.stop()

    async def _keep_probing(self) -> None:
        while True:
            await asyncio.sleep(self._config.probe_interval_seconds)
            await self._probe_all()

    async def _probe_all(self) -> None:
        good = await asyncio.gather(*(self._probe(service) for service in self._services))
        for service, serving in zip(self._services, good, strict=True):
            await self._health.set(service.name, _SERVING if serving else _NOT_SERVING)
        await self._health.set("", _SERVING if all(good) else _NOT_SERVING)

    async def _probe(self, service: Service) -> bool:
        """Whether `service` could answer now; a change is logged once, with its cause."""
        cause: Exception | None = None
        if service.probe is not None:
            try:
                async with asyncio.timeout(self._config.probe_timeout_seconds):
                    await service.probe()
            except Exception as error:  # noqa: BLE001 - whatever a probe raises means "not now"; logged below
                cause = error
        serving = cause is None
        if self._was_serving.get(service.name) is not serving:
            self._was_serving[service.name] = serving
            if cause is None:
                log.info("health", rpc_service=service.name, status="SERVING")
            else:
                text = cause.message if isinstance(cause, UniaudioError) else repr(cause)
                log.warning("health", rpc_service=service.name, status="NOT_SERVING", cause=text)
        return serving


def server_options(max_message_bytes: int = MAX_MESSAGE_BYTES) -> list[tuple[str, int]]:
    """Channel arguments of our servers."""
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # Compressed messages are refused: 100 kB of them would unpack to the largest message. Sound packs itself.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        # Without this a second process would bind the same port in silence and take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_age_ms", MAX_CONNECTION_AGE_MS),
    ]


def client_options(max_message_bytes: int = MAX_MESSAGE_BYTES) -> list[tuple[str, int | str]]:
    """Channel arguments of our clients: big messages, a dead peer noticed in 20 s, quick reconnects, all pods used."""
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.keepalive_time_ms", 15_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.lb_policy_name", "round_robin"),
        *RECONNECTING,
    ]
