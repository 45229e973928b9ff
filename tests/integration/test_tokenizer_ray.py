"""The tokenizer service on real Ray Serve: one start for all tests, which run in this order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.tokenizer.servicer import SERVICE
from tests.tokenizer_calls import check_bad_input, check_streams, noise, pieces
from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.runtime.tokenizer_client import ClientConfig, TokenizerClient

pytestmark = pytest.mark.timeout(600)

START_SECONDS = 240
MAX_SESSIONS = 4


@dataclass
class RayService:
    """The running service and what it wrote."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    seen: dict[int, psutil.Process] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def processes(self) -> list[psutil.Process]:
        """All processes of Ray."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        self.seen.update({process.pid: process for process in found})
        return found

    def replicas(self) -> list[psutil.Process]:
        """The processes that hold the model."""
        return [process for process in self.processes() if _title(process).startswith("ray::ServeReplica")]

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while b'"listening"' not in self.log.read_bytes():
            assert self.process.poll() is None, self.tail()
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.1)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


@pytest.fixture(scope="module")
def service(
    random_checkpoint: Path, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RayService]:
    port = free_port()
    log = tmp_path_factory.mktemp("ray") / "log"
    environment = {
        **os.environ,
        "UNIAUDIO_MODEL_DIR": str(random_checkpoint),
        "UNIAUDIO_TOKENIZER_PORT": str(port),
        "TMPDIR": "/tmp",
        "UNIAUDIO_TOKENIZER_THREADS": "1",
        "UNIAUDIO_TOKENIZER_MAX_SESSIONS": str(MAX_SESSIONS),
        "UNIAUDIO_TOKENIZER_MAX_REPLICAS": "2",
        "UNIAUDIO_TOKENIZER_TARGET_CALLS": "2",
        "UNIAUDIO_TOKENIZER_UPSCALE_DELAY_SECONDS": "0",
        "UNIAUDIO_TOKENIZER_GRACE_SECONDS": "10",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.tokenizer"], env=environment, stderr=output, stdout=output
        )
    service = RayService(process, port, log)
    try:
        service.wait_until_listening()
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        for left in service.seen.values():
            if left.is_running():
                left.kill()


@pytest.fixture
async def client(service: RayService) -> AsyncIterator[TokenizerClient]:
    async with TokenizerClient(service.address) as client:
        yield client


async def test_streams_are_the_whole(client: TokenizerClient) -> None:
    info = await client.get_tokenizer()
    assert (info.sample_rate, info.hop_length, info.model_trained) == (16_000, 320, False)
    await check_streams(client)


async def test_bad_input_is_refused_and_the_next_call_served(client: TokenizerClient) -> None:
    await check_bad_input(client)


async def test_health_is_told_for_each_service(service: RayService) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


async def test_reflection_lists_the_services(service: RayService) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(timeout=10)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        call.cancel()
        names = {one.name for one in answer.list_services_response.service}
        assert {SERVICE, "grpc.health.v1.Health"} <= names


def test_everything_listens_on_loopback(service: RayService) -> None:
    for process in [psutil.Process(service.process.pid), *service.processes()]:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in ("127.0.0.1", "::ffff:127.0.0.1"), (_title(process), connection)


async def test_a_cancelled_stream_frees_its_place(service: RayService, client: TokenizerClient) -> None:
    latents = np.zeros((5, (await client.get_tokenizer()).latent_dim), np.float32)
    for _ in range(3 * MAX_SESSIONS):
        answers = client.stream_decode(_endless(latents))
        await anext(answers)
        await answers.aclose()
        await asyncio.sleep(0.05)
    assert len(await client.decode(latents)) == 1600


async def test_a_new_replica_does_not_disturb_streams(service: RayService, client: TokenizerClient) -> None:
    latents = await client.encode(noise(16_000 * 4))
    whole = await client.decode(latents)
    grown = asyncio.Event()

    async def slowly() -> AsyncIterator[np.ndarray]:
        """The first half now, one more frame at a time until the replica is there, then the rest."""
        rows = pieces(latents, 1)
        for _ in range(20):
            yield next(rows)
        while not grown.is_set():
            await asyncio.sleep(0.1)
        for row in rows:
            yield row

    async def one_stream() -> np.ndarray:
        return np.concatenate([piece async for piece in client.stream_decode(slowly())])

    streams = [asyncio.create_task(one_stream()) for _ in range(MAX_SESSIONS)]
    async with asyncio.timeout(240):
        while len(service.replicas()) < 2:
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)  # HAProxy hears of it
    grown.set()
    for waveform in await asyncio.gather(*streams):
        np.testing.assert_allclose(waveform, whole, atol=2e-5)


async def test_a_killed_replica_is_unavailable_and_replaced(
    service: RayService, client: TokenizerClient
) -> None:
    latents = np.zeros((5, (await client.get_tokenizer()).latent_dim), np.float32)
    answers = client.stream_decode(_endless(latents))
    await anext(answers)
    for replica in service.replicas():
        replica.kill()

    async def read_on() -> None:
        async with asyncio.timeout(90):
            async for _ in answers:
                pass

    with pytest.raises(UnavailableError) as caught:
        await read_on()
    assert {"value", "limit", "remedy"} <= set(caught.value.metadata)
    # Each try is short: a call that came while no replica was there is not worth waiting for.
    async with TokenizerClient(service.address, ClientConfig(max_attempts=1)) as impatient:
        async with asyncio.timeout(240):
            while True:
                try:
                    assert len(await impatient.decode(latents, timeout_seconds=2)) == 1600
                    break
                except UniaudioError as error:
                    if error.reason not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                        raise
                    await asyncio.sleep(0.2)
    streamed = [piece async for piece in client.stream_decode(_a_few(latents))]
    assert sum(map(len, streamed)) == 3 * 1600


async def test_a_signal_lets_streams_end_and_leaves_nothing(
    service: RayService, client: TokenizerClient
) -> None:
    latents = np.zeros((5, (await client.get_tokenizer()).latent_dim), np.float32)
    service.processes()
    folder = Path("/tmp") / f"uniaudio-ray-{service.process.pid}"
    assert folder.is_dir()

    async def signalled() -> AsyncIterator[np.ndarray]:
        yield latents
        service.process.send_signal(signal.SIGTERM)
        for _ in range(10):
            await asyncio.sleep(0.1)
            yield latents

    streamed = [piece async for piece in client.stream_decode(signalled())]
    assert sum(map(len, streamed)) == 11 * 1600
    assert await asyncio.to_thread(service.process.wait, 60) == 0, service.tail()
    _, alive = psutil.wait_procs(list(service.seen.values()), timeout=15)
    assert [_title(process) for process in alive] == []
    assert not folder.exists()


async def _endless(latents: np.ndarray) -> AsyncIterator[np.ndarray]:
    while True:
        yield latents
        await asyncio.sleep(0.02)


async def _a_few(latents: np.ndarray) -> AsyncIterator[np.ndarray]:
    for _ in range(3):
        yield latents
