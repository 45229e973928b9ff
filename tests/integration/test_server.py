"""The house's server over real gRPC: errors arrive as themselves, health is true, a stop drops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from uniaudio.errors import (
    DeadlineError,
    InvalidInputError,
    LimitExceededError,
    QueueFullError,
    StartupError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.runtime.aio_calls import keep_status
from uniaudio.runtime.calls import current_request_id, remaining_seconds
from uniaudio.runtime.server import Server, ServerConfig, Service
from uniaudio.runtime.status import error_from_rpc
from uniaudio.v1 import tokenizer_pb2 as pb
from uniaudio.v1 import tokenizer_pb2_grpc

NAME = "uniaudio.v1.TokenizerService"
HEALTH = health_pb2.HealthCheckResponse


class Odd(tokenizer_pb2_grpc.TokenizerServiceServicer):
    """Does what each test needs of it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.seen: dict[str, Any] = {}
        self.healthy = True
        self.release = asyncio.Event()
        self.entered = asyncio.Event()

    async def probe(self) -> None:
        if not self.healthy:
            raise UnavailableError("not well")

    async def GetTokenizer(self, request: Any, context: Any) -> pb.GetTokenizerResponse:
        self.seen = {"id": current_request_id(), "seconds": remaining_seconds(1000)}
        if self.error is not None:
            raise self.error
        return pb.GetTokenizerResponse(sample_rate=16_000)

    async def Encode(self, request: Any, context: Any) -> pb.EncodeResponse:
        self.seen = {"id": current_request_id()}
        self.entered.set()
        await self.release.wait()
        return pb.EncodeResponse(num_frames=1)

    async def StreamDecode(self, requests: Any, context: Any) -> AsyncIterator[pb.StreamDecodeResponse]:
        async for request in requests:
            yield pb.StreamDecodeResponse(waveform=request.latents)
            if request.last:
                raise LimitExceededError("value 3, limit 2, send less", limit=2)


@asynccontextmanager
async def serving(
    odd: Odd, **config: Any
) -> AsyncIterator[tuple[Server, grpc.aio.Channel, tokenizer_pb2_grpc.TokenizerServiceStub]]:
    def register(server: grpc.aio.Server) -> None:
        tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(odd, server)

    server = Server(
        [Service(name=NAME, register=register, probe=odd.probe)],
        ServerConfig(probe_interval_seconds=0.05, **config),
    )
    port = await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, channel, tokenizer_pb2_grpc.TokenizerServiceStub(channel)
    finally:
        odd.release.set()
        await server.stop()


async def failure_of(call: Any) -> tuple[grpc.aio.AioRpcError, UniaudioError]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value, error_from_rpc(caught.value)


async def test_our_errors_arrive_as_themselves() -> None:
    odd = Odd()
    async with serving(odd) as (_, _, stub):
        odd.error = QueueFullError("voll 满", retry_after_seconds=3)
        raw, error = await failure_of(stub.GetTokenizer(pb.GetTokenizerRequest(), timeout=10))
        assert raw.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (type(error), error.message, error.metadata) == (
            QueueFullError,
            "voll 满",
            {"retry_after_seconds": "3"},
        )


async def test_the_unexpected_leaks_nothing() -> None:
    odd = Odd()
    async with serving(odd) as (_, _, stub):
        odd.error = ValueError("password=hunter2")
        metadata = (("x-request-id", "mine"),)
        raw, error = await failure_of(
            stub.GetTokenizer(pb.GetTokenizerRequest(), timeout=10, metadata=metadata)
        )
        assert raw.code() is grpc.StatusCode.INTERNAL
        assert "hunter2" not in str(raw)
        assert "request_id=mine" in error.message
        odd.error = None
        assert (await stub.GetTokenizer(pb.GetTokenizerRequest(), timeout=10)).sample_rate == 16_000


async def test_an_error_of_a_service_behind_keeps_its_meaning() -> None:
    odd = Odd()
    async with serving(odd) as (_, _, stub):
        odd.error = grpc.aio.AioRpcError(
            grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "connection refused"
        )
        _, error = await failure_of(stub.GetTokenizer(pb.GetTokenizerRequest(), timeout=10))
        assert type(error) is UnavailableError


async def test_the_caller_s_deadline_and_request_id_are_known() -> None:
    odd = Odd()
    odd.release.set()
    async with serving(odd) as (_, _, stub):
        await stub.GetTokenizer(pb.GetTokenizerRequest(), timeout=30)
        assert 0 < odd.seen["seconds"] <= 31  # the wire counts in its own clock
        assert len(odd.seen["id"]) == 32
        await stub.Encode(pb.EncodeRequest(request_id="field"), metadata=(("x-request-id", "header"),))
        assert odd.seen["id"] == "field"
        _, error = await failure_of(stub.Encode(pb.EncodeRequest(request_id="x" * 200)))
        assert (type(error), error.reason) == (InvalidInputError, "INVALID_REQUEST_ID")


async def test_a_call_without_a_deadline_gets_one() -> None:
    odd = Odd()
    async with serving(odd, default_deadline_seconds=0.1) as (_, _, stub):
        _, error = await failure_of(stub.Encode(pb.EncodeRequest()))
        assert type(error) is DeadlineError
        assert "did not end within 0.1 s" in error.message


async def test_a_refused_stream_tells_why_even_while_it_is_fed() -> None:
    odd = Odd()
    async with serving(odd) as (_, _, stub):
        for _ in range(20):
            call = stub.StreamDecode(timeout=30)
            keep_status(call)

            async def feed(call: Any = call) -> None:
                await call.write(pb.StreamDecodeRequest(last=True))
                while True:
                    await call.write(pb.StreamDecodeRequest(latents=bytes(100_000)))

            feeding = asyncio.create_task(feed())

            async def read_all(call: Any = call) -> None:
                while await call.read() is not grpc.aio.EOF:
                    pass

            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read_all()
            await asyncio.gather(feeding, return_exceptions=True)
            error = error_from_rpc(caught.value)
            assert (type(error), error.metadata) == (LimitExceededError, {"limit": "2"})


async def test_health_follows_the_probe_and_names() -> None:
    odd = Odd()
    async with serving(odd) as (_, channel, _):
        health = health_pb2_grpc.HealthStub(channel)

        async def status(name: str) -> int:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            return answer.status

        async def becomes(wanted: int) -> None:
            async with asyncio.timeout(10):
                while (await status(NAME), await status("")) != (wanted, wanted):
                    await asyncio.sleep(0.02)

        await becomes(HEALTH.SERVING)
        odd.healthy = False
        await becomes(HEALTH.NOT_SERVING)
        odd.healthy = True
        await becomes(HEALTH.SERVING)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await status("no.such.Service")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services() -> None:
    async with serving(Odd()) as (_, channel, _):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(timeout=10)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        call.cancel()
        names = {service.name for service in answer.list_services_response.service}
        assert {NAME, "grpc.health.v1.Health"} <= names


async def test_a_stop_lets_calls_finish_and_closes_in_reverse() -> None:
    odd = Odd()
    closed: list[str] = []
    async with serving(odd, grace_seconds=10) as (server, channel, stub):
        for name in ("first", "second"):

            async def close(name: str = name) -> None:
                closed.append(name)

            server.on_stop(close)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
        assert (await watch.read()).status == HEALTH.SERVING
        call = stub.Encode(pb.EncodeRequest(), timeout=20)
        running = asyncio.ensure_future(call)
        await asyncio.wait_for(odd.entered.wait(), 10)
        stopping = asyncio.create_task(server.stop())
        assert (await asyncio.wait_for(watch.read(), 10)).status == HEALTH.NOT_SERVING
        watch.cancel()
        assert closed == []
        odd.release.set()
        assert (await running).num_frames == 1
        await stopping
        assert closed == ["second", "first"]


async def test_a_busy_port_is_refused_with_a_remedy() -> None:
    async with serving(Odd()) as (server, _, _):
        second = Server([], ServerConfig(port=server.port, port_variable="UNIAUDIO_TOKENIZER_PORT"))
        with pytest.raises(StartupError, match="choose another port with UNIAUDIO_TOKENIZER_PORT"):
            await second.start()
        await second.stop()


async def test_a_message_that_is_none_is_refused_in_our_own_words() -> None:
    async with serving(Odd()) as (_, channel, _):
        garbage = b"\xff\xff\xff"
        call = channel.unary_unary(f"/{NAME}/Encode")(garbage, timeout=10)
        _, error = await failure_of(call)
        assert (type(error), error.reason) == (InvalidInputError, "MALFORMED_MESSAGE")
        stream = channel.stream_stream(f"/{NAME}/StreamDecode")(iter([garbage]), timeout=10)
        _, error = await failure_of(stream.read())
        assert error.reason == "MALFORMED_MESSAGE"


async def test_a_compressed_message_is_refused_before_it_is_unpacked() -> None:
    odd = Odd()
    odd.release.set()
    async with serving(odd) as (_, _, stub):
        request = pb.EncodeRequest(waveform=bytes(16 << 20))
        raw, _ = await failure_of(stub.Encode(request, timeout=20, compression=grpc.Compression.Gzip))
        assert raw.code() is grpc.StatusCode.UNIMPLEMENTED
        assert not odd.entered.is_set()
        assert (await stub.Encode(request, timeout=20)).num_frames == 1
