"""The LLM inside the real tritonserver, through the typed client: every task, and everything that goes wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.llm_server import LlmServer, start_llm_server
from uniaudio.errors import (
    DeadlineError,
    InvalidInputError,
    LimitExceededError,
    QueueFullError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.llm_events import Event, FinishEvent, HeartbeatEvent, PatchEvent, TextEvent
from uniaudio.v1 import llm_pb2

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def server(
    random_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[LlmServer]:
    environment = {"UNIAUDIO_LLM_MAX_RUNNING": "2", "UNIAUDIO_LLM_MAX_WAITING": "2"}
    started = start_llm_server(random_checkpoint, tmp_path_factory.mktemp("llm"), free_port, environment)
    try:
        started.wait_until_ready()
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


@pytest.fixture
async def client(server: LlmServer) -> AsyncGenerator[LlmClient, None]:
    async with LlmClient(server.address) as client:
        yield client


def recording(num_frames: int = 52, width: int = 64) -> np.ndarray:
    return np.random.default_rng(num_frames).standard_normal((num_frames, width)).astype(np.float32)


def speak(**task: Any) -> llm_pb2.GenerateOptions:
    return llm_pb2.GenerateOptions(request_id="speak", speak=llm_pb2.SpeakTask(text="Hello there.", **task))


def endless() -> llm_pb2.GenerateOptions:
    """The longest speech by the longest way: it goes on for seconds unless something stops it."""
    options = speak(min_patches=800, max_patches=800)
    options.sampling.num_solver_steps = 64
    return options


def edit(**task: Any) -> llm_pb2.GenerateOptions:
    return llm_pb2.GenerateOptions(
        request_id="edit", edit=llm_pb2.EditTask(instruction="denoise the audio", **task)
    )


def understand(**task: Any) -> llm_pb2.GenerateOptions:
    return llm_pb2.GenerateOptions(request_id="understand", understand=llm_pb2.UnderstandTask(**task))


async def collect(
    client: LlmClient,
    options: llm_pb2.GenerateOptions,
    latents: np.ndarray | None = None,
    timeout: float = 60,
) -> list[Event]:
    return [event async for event in client.generate(options, latents, timeout=timeout)]


async def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, "not so in time"
        await asyncio.sleep(0.05)


async def test_the_model_says_what_it_is(client: LlmClient) -> None:
    assert await client.ready(timeout=20)
    info = await client.info(timeout=20)
    assert info.name == "uniaudio-random"
    assert not info.trained
    assert len(info.revision) == 12
    assert "random weights" in info.notice


async def test_speech_comes_as_patches_in_order(client: LlmClient) -> None:
    events = await collect(client, speak(min_patches=3, max_patches=6))
    patches, finish = events[:-1], events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.num_patches == len(patches)
    assert finish.model.name == "uniaudio-random"
    for index, patch in enumerate(patches):
        assert isinstance(patch, PatchEvent)
        assert (patch.index, patch.last) == (index, index == len(patches) - 1)
        assert patch.latents.shape == (5, 64)
        assert np.isfinite(patch.latents).all()


async def test_speech_continues_a_voice(client: LlmClient) -> None:
    options = speak(prompt_text="Mine.", max_patches=2)
    with_voice = await collect(client, options, recording())
    without = await collect(client, speak(max_patches=2))
    first, other = with_voice[0], without[0]
    assert isinstance(first, PatchEvent)
    assert isinstance(other, PatchEvent)
    assert not np.allclose(first.latents, other.latents, atol=1e-3)


async def test_the_same_seed_makes_the_same_patches(client: LlmClient) -> None:
    options = speak(min_patches=3, max_patches=3)
    options.sampling.seed = 2**64 - 1
    once, again = await asyncio.gather(collect(client, options), collect(client, options))
    for one, other in zip(once[:-1], again[:-1], strict=True):
        assert isinstance(one, PatchEvent)
        assert isinstance(other, PatchEvent)
        np.testing.assert_allclose(one.latents, other.latents, atol=5e-4)


async def test_understanding_streams_text(client: LlmClient) -> None:
    events = await collect(client, understand(max_tokens=12), recording())
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.reason in ("stop", "length")
    assert finish.text == "".join(event.text for event in events if isinstance(event, TextEvent))


async def test_an_edit_writes_the_opening_token_and_speaks(client: LlmClient) -> None:
    events = await collect(client, edit(max_patches=4), recording())
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.text.endswith("<gen_audio>")
    assert finish.num_patches >= 1
    assert any(isinstance(event, PatchEvent) and event.last for event in events)


@pytest.mark.parametrize(
    ("options", "latents", "error", "message"),
    [
        (understand(), recording(52, 63), InvalidInputError, r"this model needs \(num_frames, 64\)"),
        (understand(), np.full((10, 64), np.nan, np.float32), InvalidInputError, "NaN or infinity"),
        (understand(), recording(4), InvalidInputError, "has 4 frames of 20 ms; it must have at least 5"),
        (understand(), None, InvalidInputError, "has 0 frames"),
        (understand(), recording(4097), LimitExceededError, "the limit is 4096"),
        (understand(), recording(5)[0], InvalidInputError, "latents have 1 axes"),
        (llm_pb2.GenerateOptions(), None, InvalidInputError, "set understand, speak, edit or follow"),
        (
            llm_pb2.GenerateOptions(speak=llm_pb2.SpeakTask(text="x" * 10_000_000)),
            None,
            LimitExceededError,
            "text has 10000000 characters; the limit is 12000",
        ),
    ],
)
async def test_bad_input_is_refused_and_the_next_request_served(
    client: LlmClient,
    options: llm_pb2.GenerateOptions,
    latents: np.ndarray | None,
    error: type[UniaudioError],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        await collect(client, options, latents)
    assert {"value", "limit", "remedy"} <= set(caught.value.metadata)
    assert isinstance((await collect(client, speak(max_patches=1)))[-1], FinishEvent)


async def test_leaving_the_stream_stops_the_engine(client: LlmClient, server: LlmServer) -> None:
    before = server.metrics()["uniaudio_engine_cancelled_total"]
    async with aclosing(client.generate(endless())) as events:
        async for event in events:
            if isinstance(event, PatchEvent):
                break
    await until(lambda: server.metrics()["uniaudio_engine_cancelled_total"] == before + 1)
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 0)


async def test_a_cancelled_task_stops_the_engine(client: LlmClient, server: LlmServer) -> None:
    task = asyncio.create_task(collect(client, endless()))
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 0)


async def test_triton_outlives_a_storm_of_streams_that_are_left_as_they_end(
    client: LlmClient, server: LlmServer
) -> None:
    """A stream that was cancelled as its last answer came ended the whole server, once in a hundred."""
    numbers = iter(range(1500))
    left = 0

    async def call_after_call() -> None:
        nonlocal left
        for number in numbers:
            at = PatchEvent if number % 3 == 0 else FinishEvent  # the only patch, or what follows it
            async with aclosing(client.generate(speak(min_patches=1, max_patches=1))) as events:
                async for event in events:
                    if isinstance(event, at):
                        left += 1
                        break

    await asyncio.gather(*(call_after_call() for _ in range(2)))
    assert (left, server.num_ready()) == (1500, 1)


async def test_the_deadline_ends_a_generation(client: LlmClient, server: LlmServer) -> None:
    with pytest.raises(DeadlineError, match="allow more time"):
        await collect(client, endless(), timeout=0.7)
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 0)


async def test_a_full_queue_says_when_to_come_back(client: LlmClient, server: LlmServer) -> None:
    tasks = [asyncio.create_task(collect(client, endless())) for _ in range(4)]
    try:
        await until(
            lambda: (
                server.metrics()["uniaudio_engine_running"] == 2
                and server.metrics()["uniaudio_engine_waiting"] == 2
            )
        )
        with pytest.raises(QueueFullError, match="2 requests are waiting, the limit is 2") as caught:
            await collect(client, speak())
        told = caught.value.metadata
        assert int(told["retry_after_seconds"]) >= 1
        assert (told["value"], told["limit"]) == ("2", "2")
        assert "try again in" in told["remedy"]
        async with aclosing(_beats(client)) as beats:
            with pytest.raises(QueueFullError):
                await anext(beats)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 0)


async def _beats(client: LlmClient) -> AsyncGenerator[HeartbeatEvent, None]:
    async with aclosing(client.generate(speak(), heartbeats=True)) as events:
        async for event in events:
            if isinstance(event, HeartbeatEvent):
                yield event


async def test_a_waiting_request_hears_heartbeats(client: LlmClient, server: LlmServer) -> None:
    tasks = [asyncio.create_task(collect(client, endless())) for _ in range(2)]
    try:
        await until(lambda: server.metrics()["uniaudio_engine_running"] == 2)
        async with aclosing(_beats(client)) as beats:
            assert (await anext(beats)).num_ahead == 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 0)


async def test_the_engines_numbers_are_on_tritons_metrics_endpoint(
    client: LlmClient, server: LlmServer
) -> None:
    before = server.metrics()
    await collect(client, speak(min_patches=3, max_patches=3))
    await collect(client, understand(max_tokens=2), recording())
    await until(
        lambda: (
            server.metrics()["uniaudio_engine_finished_total"] == before["uniaudio_engine_finished_total"] + 2
        )
    )
    after = server.metrics()
    gained = {name: after[name] - before.get(name, 0.0) for name in after}
    assert gained["uniaudio_engine_patches_total"] == 3
    assert gained["uniaudio_engine_audio_seconds_total"] == pytest.approx(0.3)
    assert gained["uniaudio_engine_tokens_total"] >= 1
    assert gained["uniaudio_engine_queue_seconds_count"] == 2
    assert after["uniaudio_engine_kv_positions_limit"] == 65_536


async def test_the_check_command_asks_the_model(server: LlmServer, random_checkpoint: Path) -> None:
    environ = {
        **os.environ,
        "UNIAUDIO_MODEL_DIR": str(random_checkpoint),
        "UNIAUDIO_LLM_GRPC_PORT": str(server.grpc_port),
    }
    check = [sys.executable, "-m", "services.llm", "check"]
    good = await asyncio.to_thread(subprocess.run, check, env=environ, timeout=60, check=False)
    assert good.returncode == 0


async def test_a_second_start_names_the_busy_port(server: LlmServer, random_checkpoint: Path) -> None:
    environ = {
        **os.environ,
        "UNIAUDIO_MODEL_DIR": str(random_checkpoint),
        "UNIAUDIO_LLM_GRPC_PORT": str(server.grpc_port),
    }
    second = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.llm"],
        env=environ,
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )
    assert second.returncode == 1
    assert "choose another port with UNIAUDIO_LLM_GRPC_PORT" in second.stderr


async def test_a_killed_stub_breaks_its_streams_and_is_replaced(client: LlmClient, server: LlmServer) -> None:
    stub = server.stub()
    task = asyncio.create_task(collect(client, endless(), timeout=60))
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 1)
    os.kill(stub.pid, signal.SIGKILL)
    with pytest.raises(UnavailableError, match="try again") as caught:
        await asyncio.wait_for(task, 20)
    assert {"value", "limit", "remedy"} <= set(caught.value.metadata)
    assert not await client.ready(timeout=0.5)
    await asyncio.to_thread(server.wait_until_ready, 2)
    assert server.stub().pid != stub.pid
    assert isinstance((await collect(client, speak(max_patches=1)))[-1], FinishEvent)


async def test_sigterm_drains_and_leaves_nothing(client: LlmClient, server: LlmServer) -> None:
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert len(family) >= 2
    options = speak(min_patches=20, max_patches=20)
    running = asyncio.create_task(collect(client, options))
    await until(lambda: server.metrics()["uniaudio_engine_running"] == 1)
    server.process.send_signal(signal.SIGTERM)
    events = await asyncio.wait_for(running, 40)
    assert isinstance(events[-1], FinishEvent), "a running generation ends before the service does"
    assert await asyncio.to_thread(server.wait) == 0
    assert not [process for process in family if process.is_running()]
    assert not list((server.log.parent / "scratch").iterdir())
    assert not list(Path("/dev/shm").glob(f"uniaudio_llm_{server.process.pid}_*"))
    assert not await client.ready(timeout=1)
