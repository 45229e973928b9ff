"""The LLM service with two ranks: a killed and a stopped one are replaced, and callers are told meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.llm_server import LlmServer, start_llm_server
from uniaudio.errors import RankLostError, UnavailableError
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.llm_events import PatchEvent
from uniaudio.v1 import llm_pb2

pytestmark = pytest.mark.asyncio

TIMEOUT_SECONDS = "4"


@pytest.fixture(scope="module")
def server(
    random_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[LlmServer]:
    environment = {
        "UNIAUDIO_LLM_RANKS": "2",
        "UNIAUDIO_LLM_RANK_TIMEOUT_SECONDS": TIMEOUT_SECONDS,
        "UNIAUDIO_LLM_PROBE_INTERVAL_SECONDS": "3",  # longer than a test needs until it does harm
    }
    started = start_llm_server(random_checkpoint, tmp_path_factory.mktemp("ranks"), free_port, environment)
    try:
        started.wait_until_ready(seconds=200)
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


def rank_of(server: LlmServer) -> psutil.Process:
    """The process that holds experts."""
    for child in psutil.Process(server.process.pid).children(recursive=True):
        if "services.llm.rank" in child.cmdline():
            return child
    raise AssertionError(f"no rank among the children:\n{server.tail()}")


def speak(num_patches: int) -> llm_pb2.GenerateOptions:
    task = llm_pb2.SpeakTask(text="Hello there.", min_patches=num_patches, max_patches=num_patches)
    return llm_pb2.GenerateOptions(request_id="speak", speak=task)


async def patches(client: LlmClient, num_patches: int = 3) -> list[np.ndarray]:
    events = client.generate(speak(num_patches), timeout=60)
    return [event.latents async for event in events if isinstance(event, PatchEvent)]


async def failure_of_endless(client: LlmClient, harm: Callable[[], Any]) -> UnavailableError:
    """What a long generation fails with when harm is done after its first patch."""
    is_harmed = False
    try:
        async for event in client.generate(speak(800), timeout=120):
            if isinstance(event, PatchEvent) and not is_harmed:
                harm()
                is_harmed = True
    except UnavailableError as error:
        return error
    raise AssertionError("it went on")


async def until_ready(client: LlmClient, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not await client.ready(timeout=10):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_lost_rank_is_told_and_replaced(server: LlmServer, harm: signal.Signals) -> None:
    async with LlmClient(server.address) as client:
        before = await patches(client)
        stub, rank = server.stub(), rank_of(server)
        error = await failure_of_endless(client, lambda: os.kill(rank.pid, harm))
        assert isinstance(error, RankLostError)
        assert (error.metadata["rank"], float(error.metadata["deadline_seconds"])) == (
            "1",
            float(TIMEOUT_SECONDS),
        )
        with pytest.raises(RankLostError, match="rank 1 of 2") as told:
            await client.check_ready(timeout=10)
        assert float(told.value.metadata["lost_for_seconds"]) >= 0
        await until_ready(client)
        after = await patches(client)
        assert server.stub() == stub  # rank 0 and its model stayed
        assert rank_of(server) != rank
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)


async def test_a_stop_leaves_no_rank_behind(server: LlmServer) -> None:
    rank = rank_of(server)
    assert await asyncio.to_thread(server.stop) == 0
    assert not rank.is_running()
    assert not list((server.log.parent / "scratch").iterdir())
