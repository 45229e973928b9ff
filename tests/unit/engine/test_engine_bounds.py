"""What the engine refuses, and how a request ends before its time."""

from __future__ import annotations

import threading

import pytest

from tests.engine_house import Listener, running, wait_for
from tests.fake_runner import FakeRunner, speak
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import (
    FailureEvent,
    PatchEvent,
)
from uniaudio.engine.request import EngineConfig, GenerationRequest
from uniaudio.errors import (
    CancelledByCallerError,
    DeadlineError,
    InvalidInputError,
    LimitExceededError,
    QueueFullError,
)
from uniaudio.text.speaking_time import speaking_seconds


def test_a_request_that_can_never_fit_is_refused() -> None:
    with running(max_kv_positions=30) as (engine, _):
        with pytest.raises(LimitExceededError, match="the engine holds 30"):
            engine.submit(speak("a", max_patches=30), Listener())


def test_a_full_queue_says_when_to_come_back() -> None:
    with running(FakeRunner(gate=threading.Event()), max_running=1, max_waiting=1) as (engine, _):
        first, second = Listener(), Listener()
        engine.submit(speak("a"), first)
        wait_for(lambda: engine.stats().num_running == 1)
        engine.submit(speak("b"), second)
        assert engine.num_ahead("b") == 1
        assert engine.stats().waiting_audio_seconds == pytest.approx(speaking_seconds("four"))
        with pytest.raises(QueueFullError, match="the limit is 1; try again in") as caught:
            engine.submit(speak("c"), Listener())
        assert int(caught.value.metadata["retry_after_seconds"]) >= 1


def test_two_live_requests_cannot_share_a_name() -> None:
    with running(FakeRunner(gate=threading.Event())) as (engine, _):
        engine.submit(speak("a"), Listener())
        with pytest.raises(InvalidInputError, match="already queued or running"):
            engine.submit(speak("a"), Listener())


def test_cancellation_is_seen_at_the_next_step_and_frees_the_state() -> None:
    with running(FakeRunner(gate=threading.Event(), num_spoken=10_000)) as (engine, runner):
        listener = Listener()
        engine.submit(speak("a", max_patches=500), listener)
        wait_for(lambda: engine.stats().num_running == 1)
        assert engine.cancel("a")
        steps_before = len(runner.batches)
        assert runner.gate is not None
        runner.gate.set()
        failure = listener.last()
        assert isinstance(failure, FailureEvent)
        assert isinstance(failure.error, CancelledByCallerError)
        assert len(runner.batches) <= steps_before + 1
        assert engine.stats().num_running == 0
        assert engine.stats().kv_positions == 0
        assert engine.stats().num_cancelled == 1
        assert not engine.cancel("a")


def test_leaving_generate_early_cancels() -> None:
    with running(FakeRunner(num_spoken=10_000)) as (engine, _):
        events = engine.generate(speak("a", max_patches=500))
        for event in events:
            if isinstance(event, PatchEvent):
                break
        events.close()  # type: ignore[attr-defined]
        wait_for(lambda: engine.stats().num_running == 0)


def test_deadlines_end_running_and_waiting_requests() -> None:
    now = [0.0]
    runner = FakeRunner(gate=threading.Event(), num_spoken=10_000)
    engine = Engine(None, EngineConfig(max_running=1), make_runner=lambda _: runner, clock=lambda: now[0])
    first, second = Listener(), Listener()
    request = speak("a", max_patches=500)
    engine.submit(GenerationRequest(request_id="a", task=request.task, deadline_seconds=5), first)
    wait_for(lambda: engine.stats().num_running == 1)
    engine.submit(GenerationRequest(request_id="b", task=request.task, deadline_seconds=5), second)
    now[0] = 6.0
    assert runner.gate is not None
    runner.gate.set()
    for listener, progress in ((first, "patches made"), (second, "still queued")):
        failure = listener.last()
        assert isinstance(failure.error, DeadlineError)
        assert "5.0 s" in failure.error.message
        assert progress in failure.error.message
    engine.close()
