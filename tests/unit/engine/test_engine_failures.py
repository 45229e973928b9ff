"""What breaks fails what it must and no more; closing ends everything."""

from __future__ import annotations

import threading

import pytest

from tests.engine_house import Listener, running, wait_for
from tests.fake_runner import FakeRunner, speak
from uniaudio.engine.events import (
    Event,
    FailureEvent,
    FinishEvent,
)
from uniaudio.errors import (
    UnavailableError,
    UniaudioError,
)


def test_one_broken_sequence_fails_alone() -> None:
    with running(FakeRunner(fail_row={"bad"}, fail_start={"worse"})) as (engine, _):
        listeners = {name: Listener() for name in ("good", "bad", "worse")}
        for name, listener in listeners.items():
            engine.submit(speak(name), listener)
        assert isinstance(listeners["good"].last(), FinishEvent)
        for name, cause in (("bad", "row broke"), ("worse", "start broke")):
            failure = listeners[name].last()
            assert isinstance(failure, FailureEvent)
            assert cause in str(failure.error)
            assert type(failure.error) is UniaudioError


def test_a_listener_that_raises_fails_its_request_alone() -> None:
    with running() as (engine, _):
        good = Listener()

        def bad(event: Event) -> None:
            raise RuntimeError("listener broke")

        engine.submit(speak("bad"), bad)
        engine.submit(speak("good"), good)
        assert isinstance(good.last(), FinishEvent)
        assert engine.stats().num_failed == 1


def test_a_broken_step_fails_the_running_ones_and_the_engine_lives_on() -> None:
    with running(FakeRunner(fail_step=2)) as (engine, _):
        with pytest.raises(UniaudioError, match="step broke"):
            list(engine.generate(speak("a")))
        assert isinstance(list(engine.generate(speak("b")))[-1], FinishEvent)


def test_closing_drains_then_refuses() -> None:
    with running() as (engine, _):
        listener = Listener()
        engine.submit(speak("a"), listener)
        engine.close(drain_seconds=10)
        assert isinstance(listener.last(), FinishEvent)
        with pytest.raises(UnavailableError):
            engine.submit(speak("b"), Listener())


def test_closing_at_once_fails_what_runs() -> None:
    with running(FakeRunner(gate=threading.Event())) as (engine, runner):
        listener = Listener()
        engine.submit(speak("a"), listener)
        wait_for(lambda: engine.stats().num_running == 1)
        assert runner.gate is not None
        closer = threading.Thread(target=engine.close)
        closer.start()
        wait_for(lambda: not engine.is_alive)
        runner.gate.set()
        closer.join(10)
        assert isinstance(listener.last(), FinishEvent | FailureEvent)
