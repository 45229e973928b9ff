"""A rank that dies or hangs fails the requests that need it, by name and in time, and the group comes back."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.rank_processes import RankProcesses, started_ranks
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import Event, FailureEvent, FinishEvent, PatchEvent
from uniaudio.engine.ranks.first import FirstRank
from uniaudio.engine.request import EngineConfig, GenerationRequest, SamplingOptions, Speak
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import RankLostError, StartupError

COUNT, TIMEOUT_SECONDS = 3, 5.0
PATIENCE_SECONDS = 120  # a rank starts in some seconds, on a busy machine in many


@pytest.fixture(scope="module")
def group(random_checkpoint: Path, free_port: Callable[[], int]) -> Iterator[tuple[FirstRank, RankProcesses]]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with started_ranks(random_checkpoint, COUNT, free_port(), timeout_seconds=TIMEOUT_SECONDS) as started:
        yield started
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def engine(random_checkpoint: Path, group: tuple[FirstRank, RankProcesses]) -> Iterator[Engine[Any]]:
    model = SpeechModel.from_checkpoint(Checkpoint(random_checkpoint), share=group[0].share)
    engine = Engine(model, EngineConfig())
    yield engine
    engine.close()


def speech(name: str, num_patches: int) -> GenerationRequest:
    task = Speak(text="Hello there.", min_patches=num_patches, max_patches=num_patches)
    return GenerationRequest(request_id=name, task=task, sampling=SamplingOptions(seed=3, num_solver_steps=2))


def patches(engine: Engine[Any], name: str) -> list[Tensor]:
    return [event.latents for event in engine.generate(speech(name, 4)) if isinstance(event, PatchEvent)]


def begin_endless(engine: Engine[Any], name: str) -> queue.SimpleQueue[Event]:
    """Events of a request that goes on for long; it has begun to speak."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(speech(name, 800), events.put)
    while not isinstance(events.get(timeout=PATIENCE_SECONDS), PatchEvent):
        pass
    return events


def failure(events: queue.SimpleQueue[Event]) -> Exception:
    while not isinstance(event := events.get(timeout=PATIENCE_SECONDS), FailureEvent):
        assert not isinstance(event, FinishEvent)
    return event.error


def until_formed(first: FirstRank) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return first.check()
        except RankLostError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def until_lost(first: FirstRank) -> RankLostError:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            first.check()
        except RankLostError as error:
            return error
        time.sleep(0.1)
    raise AssertionError("nobody noticed")


def assert_names(error: Exception, rank: int) -> None:
    assert isinstance(error, RankLostError)
    assert error.metadata["rank"] == str(rank)
    assert error.metadata["deadline_seconds"] == str(TIMEOUT_SECONDS)
    assert f"rank {rank} of {COUNT}" in error.message


def test_a_killed_rank_is_named_and_its_successor_joins(
    engine: Engine[Any], group: tuple[FirstRank, RankProcesses]
) -> None:
    first, ranks = group
    before = patches(engine, "before")
    running = [begin_endless(engine, f"endless{index}") for index in range(2)]
    ranks.end(2)
    for events in running:
        assert_names(failure(events), 2)
    with pytest.raises(RankLostError, match="rank 2 of 3 is gone"):
        patches(engine, "meanwhile")
    ranks.start(2)
    until_formed(first)
    for one, other in zip(patches(engine, "after"), before, strict=True):
        assert torch.equal(one, other)


def test_a_stuck_rank_fails_its_requests_within_the_deadline(
    engine: Engine[Any], group: tuple[FirstRank, RankProcesses]
) -> None:
    first, ranks = group
    events = begin_endless(engine, "endless")
    ranks.send(1, signal.SIGSTOP)
    error = failure(events)
    assert_names(error, 1)
    assert "did not answer" in str(error)
    ranks.end(1)
    ranks.start(1)
    until_formed(first)
    assert len(patches(engine, "after a hang")) == 4


def test_a_stuck_rank_that_goes_on_joins_again_by_itself(
    engine: Engine[Any], group: tuple[FirstRank, RankProcesses]
) -> None:
    first, ranks = group
    ranks.send(2, signal.SIGSTOP)
    assert_names(until_lost(first), 2)  # though nobody asked for anything
    ranks.send(2, signal.SIGCONT)
    until_formed(first)
    assert len(patches(engine, "after a pause")) == 4


def test_a_rank_with_another_model_is_refused(random_checkpoint: Path, free_port: Callable[[], int]) -> None:
    with (
        pytest.raises(StartupError, match="give all ranks the same"),
        started_ranks(random_checkpoint, 2, free_port(), identity="another"),
    ):
        raise AssertionError("it formed")
