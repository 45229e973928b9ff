"""Many requests at once: stepped together within the limits, each as if it were alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine_house import Listener, patches, running, wait_for
from tests.fake_runner import FakeRunner, speak
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import (
    FailureEvent,
    FinishEvent,
    StartEvent,
)
from uniaudio.engine.request import EngineConfig, Priority


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
        wait_for(lambda: engine.stats().num_running == 1)
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
