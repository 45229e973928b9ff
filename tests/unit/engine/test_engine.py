"""The engine's promises to its callers, held against a model that only counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_runner import FakeRunner, speak
from uniaudio.engine.budget import Budget
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import (
    Event,
    FailureEvent,
    FinishEvent,
    FinishReason,
    PatchEvent,
    StartEvent,
    TextEvent,
)
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.request import Edit, EngineConfig, GenerationRequest, Priority, Understand
from uniaudio.engine.scheduler import Scheduler
from uniaudio.engine.sequence import PromptRead, Sequence
from uniaudio.errors import (
    CancelledByCallerError,
    DeadlineError,
    InvalidInputError,
    LimitExceededError,
    ModelOutputError,
    QueueFullError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.text.speaking_time import speaking_seconds

LATENTS = torch.zeros(20, 2)


class Listener:
    """Keeps a request's events and says when the last one came."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._ended = threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, FinishEvent | FailureEvent):
            self._ended.set()

    def last(self) -> Any:
        assert self._ended.wait(10), "no last event within 10 s"
        return self.events[-1]


@contextmanager
def running(runner: FakeRunner | None = None, **config: Any) -> Iterator[tuple[Engine[Any], FakeRunner]]:
    runner = runner or FakeRunner()
    engine = Engine(None, EngineConfig(**config), make_runner=lambda _: runner)
    try:
        yield engine, runner
    finally:
        if runner.gate is not None:
            runner.gate.set()
        engine.close()


def understand(request_id: str, **task: Any) -> GenerationRequest:
    return GenerationRequest(request_id=request_id, task=Understand(**task), latents=LATENTS)


def edit(request_id: str, **task: Any) -> GenerationRequest:
    return GenerationRequest(
        request_id=request_id, task=Edit(instruction="denoise the audio", **task), latents=LATENTS
    )


def sequence(name: str, **fields: Any) -> Sequence:
    """A sequence that speaks, as the scheduler sees it."""
    numbers = {"num_prompt_positions": 10, "arrived_at": 0.0, "deadline_at": 1e9, **fields}
    runner = FakeRunner()
    return Sequence(
        request=speak(name),
        prompt=None,
        budget=Budget(1, 100, 0),
        vocabulary=runner.vocabulary,
        noise=SeededNoise(0),
        drop_surplus_patch=True,
        force_audio=True,
        on_event=lambda event: None,
        **numbers,
    )


def patches(events: list[Event]) -> list[PatchEvent]:
    return [event for event in events if isinstance(event, PatchEvent)]


def test_understanding_streams_text_until_the_end_token() -> None:
    with running() as (engine, _):
        events = list(engine.generate(understand("a")))
    assert isinstance(events[0], StartEvent)
    assert [event.text for event in events if isinstance(event, TextEvent)] == ["w2 ", "w3 ", "w4 "]
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert (finish.text, finish.reason, finish.num_tokens) == ("w2 w3 w4 ", FinishReason.STOP, 4)


def test_understanding_ends_at_the_token_cap() -> None:
    with running() as (engine, _):
        finish = list(engine.generate(understand("a", max_tokens=2)))[-1]
    assert isinstance(finish, FinishEvent)
    assert (finish.text, finish.reason) == ("w2 w3 ", FinishReason.LENGTH)


@pytest.mark.parametrize(("drop", "count"), [(True, 4), (False, 5)])
def test_speech_marks_its_last_patch_with_and_without_the_surplus_one(drop: bool, count: int) -> None:
    with running(drop_surplus_patch=drop) as (engine, _):
        events = list(engine.generate(speak("a")))
    made = patches(events)
    assert [patch.index for patch in made] == list(range(count))
    assert [patch.last for patch in made] == [False] * (count - 1) + [True]


@pytest.mark.parametrize("drop", [True, False])
def test_speech_ends_at_the_patch_cap_with_a_last_patch(drop: bool) -> None:
    with running(drop_surplus_patch=drop) as (engine, _):
        events = list(engine.generate(speak("a", max_patches=3)))
    assert [patch.last for patch in patches(events)] == [False, False, True]
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.reason is FinishReason.LENGTH


def test_the_stop_head_is_not_heard_before_the_least_length() -> None:
    with running() as (engine, _):
        assert len(patches(list(engine.generate(speak("a", min_patches=9))))) == 9


def test_an_edit_writes_then_speaks() -> None:
    with running() as (engine, _):
        events = list(engine.generate(edit("a", reasoning=True)))
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.text == "w2 w3 w4 <gen_audio>"
    assert finish.num_patches == 4


def test_an_edit_that_never_speaks_is_a_model_error_with_a_remedy() -> None:
    with running(FakeRunner(num_words=1000)) as (engine, _):
        with pytest.raises(ModelOutputError, match="without starting to speak; allow more tokens") as caught:
            list(engine.generate(edit("a", reasoning=True, max_tokens=5)))
    assert caught.value.reason == "NO_AUDIO"


def test_an_edit_without_reasoning_is_made_to_speak_unless_told_not_to() -> None:
    with running(FakeRunner(num_words=1000)) as (engine, _):
        finish = list(engine.generate(edit("a")))[-1]
        assert isinstance(finish, FinishEvent)
        assert finish.text.endswith("<gen_audio>")
    with running(FakeRunner(num_words=1000), force_audio=False) as (engine, _):
        with pytest.raises(ModelOutputError):
            list(engine.generate(edit("b")))


def test_running_sequences_are_stepped_together_up_to_the_limit() -> None:
    with running(FakeRunner(gate=threading.Event()), max_running=2) as (engine, runner):
        listeners = [Listener() for _ in range(3)]
        for index, listener in enumerate(listeners):
            engine.submit(speak(f"r{index}"), listener)
        assert runner.gate is not None
        runner.gate.set()
        for listener in listeners:
            assert isinstance(listener.last(), FinishEvent)
    assert ["r0", "r1"] in runner.batches
    assert max(len(batch) for batch in runner.batches) == 2


def test_a_prompt_that_does_not_fit_waits_for_blocks() -> None:
    with running(FakeRunner(gate=threading.Event()), max_kv_positions=32) as (engine, runner):
        listeners = [Listener() for _ in range(2)]
        for index, listener in enumerate(listeners):
            engine.submit(speak(f"r{index}", max_patches=10), listener)
        assert runner.gate is not None
        runner.gate.set()
        for listener in listeners:
            assert isinstance(listener.last(), FinishEvent)
    assert all(len(batch) == 1 for batch in runner.batches)


def test_sequences_that_outgrow_the_blocks_together_all_end_as_if_they_had_room() -> None:
    requests = {f"r{index}": speak(f"r{index}", min_patches=40, max_patches=40) for index in range(3)}
    with running() as (engine, _):
        alone = {name: patches(list(engine.generate(request))) for name, request in requests.items()}
    with running(max_kv_positions=112) as (engine, runner):
        listeners = {name: Listener() for name in requests}
        for name, request in requests.items():
            engine.submit(request, listeners[name])
        for name, listener in listeners.items():
            assert isinstance(listener.last(), FinishEvent)
            for one, other in zip(alone[name], patches(listener.events), strict=True):
                assert torch.equal(one.latents, other.latents)
        stats = engine.stats()
    assert stats.num_preempted > 0
    assert max(len(batch) for batch in runner.batches) > 1
    assert all(sum(isinstance(e, StartEvent) for e in x.events) == 1 for x in listeners.values())


def test_live_requests_go_before_batch_and_take_their_place() -> None:
    with running(FakeRunner(gate=threading.Event()), max_running=1) as (engine, runner):
        batch, later, live = Listener(), Listener(), Listener()
        engine.submit(replace(speak("batch"), priority=Priority.BATCH), batch)
        _wait_for(lambda: engine.stats().num_running == 1)
        engine.submit(replace(speak("later"), priority=Priority.BATCH), later)
        engine.submit(speak("live"), live)
        assert engine.num_ahead("live") == 1
        assert runner.gate is not None
        runner.gate.set()
        for listener in (batch, later, live):
            assert isinstance(listener.last(), FinishEvent)
        assert engine.stats().num_preempted == 1
    order = [name for step in runner.batches for name in step]
    assert list(dict.fromkeys(order)) == ["batch", "live", "later"]
    assert order.count("batch") == order.count("live"), "what it had made was not made again"
    assert max(i for i, name in enumerate(order) if name == "live") < order.index("batch", 1)


def test_batch_requests_that_waited_long_count_as_live() -> None:
    config = EngineConfig(max_running=1, batch_patience_seconds=10)
    scheduler = Scheduler(config)
    old = sequence("old", arrived_at=0.0, priority=Priority.BATCH)
    scheduler.add(old)
    scheduler.add(sequence("new", arrived_at=12.0))
    scheduler.age(5.0)
    assert [s.request.request_id for s in scheduler.waiting] == ["new", "old"]
    scheduler.age(13.0)
    assert [s.request.request_id for s in scheduler.waiting] == ["old", "new"]


def test_a_stream_that_is_ahead_yields_to_one_that_is_behind() -> None:
    scheduler = Scheduler(EngineConfig(max_lead_seconds=1.0))
    ahead = sequence("ahead", first_patch_at=0.0, num_patches=40, num_read=50)
    behind = sequence("behind", first_patch_at=0.0, num_patches=19, num_read=29)
    for one in (ahead, behind):
        scheduler.add(one)
    scheduler.admit()
    assert scheduler.choose(2.0, 0.1) == [behind]
    behind.num_patches += 2
    behind.num_read += 2
    assert scheduler.choose(2.0, 0.1) == [ahead, behind]


def test_a_long_prompt_is_read_in_shares_beside_speech() -> None:
    config = EngineConfig(max_step_positions=100, max_step_positions_beside_speech=30)
    scheduler = Scheduler(config)
    long = sequence("long", arrived_at=1.0, num_prompt_positions=250)
    scheduler.add(long)
    scheduler.admit()
    assert scheduler.choose(2.0, 0.1) == [long]
    assert long.share == 100
    long.advance(PromptRead(100))
    speaks = sequence("speaks", first_patch_at=1.5, num_patches=10, num_read=20)
    scheduler.add(speaks)
    scheduler.admit()
    assert set(map(id, scheduler.choose(2.0, 0.1))) == {id(speaks), id(long)}
    assert (speaks.share, long.share) == (1, 30)


def test_late_patches_are_counted() -> None:
    now = [0.0]

    class SlowRunner(FakeRunner):
        def step(self, sequences: Any) -> Any:
            now[0] += 0.25
            return super().step(sequences)

    engine = Engine(None, EngineConfig(), make_runner=lambda _: SlowRunner(), clock=lambda: now[0])
    list(engine.generate(speak("a", min_patches=4, max_patches=4)))
    assert engine.stats().num_underruns == 3
    engine.close()


def test_a_request_that_can_never_fit_is_refused() -> None:
    with running(max_kv_positions=30) as (engine, _):
        with pytest.raises(LimitExceededError, match="the engine holds 30"):
            engine.submit(speak("a", max_patches=30), Listener())


def test_a_full_queue_says_when_to_come_back() -> None:
    with running(FakeRunner(gate=threading.Event()), max_running=1, max_waiting=1) as (engine, _):
        first, second = Listener(), Listener()
        engine.submit(speak("a"), first)
        _wait_for(lambda: engine.stats().num_running == 1)
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
        _wait_for(lambda: engine.stats().num_running == 1)
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
        _wait_for(lambda: engine.stats().num_running == 0)


def test_deadlines_end_running_and_waiting_requests() -> None:
    now = [0.0]
    runner = FakeRunner(gate=threading.Event(), num_spoken=10_000)
    engine = Engine(None, EngineConfig(max_running=1), make_runner=lambda _: runner, clock=lambda: now[0])
    first, second = Listener(), Listener()
    request = speak("a", max_patches=500)
    engine.submit(GenerationRequest(request_id="a", task=request.task, deadline_seconds=5), first)
    _wait_for(lambda: engine.stats().num_running == 1)
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
        _wait_for(lambda: engine.stats().num_running == 1)
        assert runner.gate is not None
        closer = threading.Thread(target=engine.close)
        closer.start()
        _wait_for(lambda: not engine.is_alive)
        runner.gate.set()
        closer.join(10)
        assert isinstance(listener.last(), FinishEvent | FailureEvent)


def test_the_same_seed_sounds_the_same_alone_and_in_company() -> None:
    with running() as (engine, _):
        alone = patches(list(engine.generate(speak("alone"))))
        listeners = [Listener() for _ in range(4)]
        for index, listener in enumerate(listeners):
            engine.submit(speak(f"r{index}"), listener)
        for listener in listeners:
            listener.last()
            for one, other in zip(alone, patches(listener.events), strict=True):
                assert torch.equal(one.latents, other.latents)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.integers(1, 40)), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(25, 80),
)
def test_every_request_of_any_schedule_ends_exactly_once(
    plans: list[tuple[int, bool, int]], max_running: int, max_kv_positions: int
) -> None:
    with running(max_running=max_running, max_kv_positions=max_kv_positions) as (engine, runner):
        listeners: dict[str, Listener] = {}
        for index, (max_patches, cancels, min_patches) in enumerate(plans):
            name = f"r{index}"
            listener = Listener()
            engine.submit(
                speak(name, max_patches=max_patches, min_patches=min(min_patches, max_patches)), listener
            )
            listeners[name] = listener
            if cancels:
                engine.cancel(name)
        for listener in listeners.values():
            listener.last()
        stats = engine.stats()
    assert (stats.num_running, stats.num_waiting, stats.kv_positions) == (0, 0, 0)
    assert stats.num_finished + stats.num_cancelled == len(plans)
    assert all(len(batch) <= max_running for batch in runner.batches)
    for listener in listeners.values():
        assert sum(isinstance(event, FinishEvent | FailureEvent) for event in listener.events) == 1
        made = patches(listener.events)
        assert [patch.index for patch in made] == list(range(len(made)))
        if isinstance(listener.events[-1], FinishEvent):
            assert [patch.last for patch in made] == [False] * (len(made) - 1) + [True]


def _wait_for(holds: Any) -> None:
    waiter = threading.Event()
    for _ in range(1000):
        if holds():
            return
        waiter.wait(0.01)
    raise AssertionError("not so within 10 s")
