"""Whatever comes, goes, and is sent back: every request gets the bits that it gets alone."""

from __future__ import annotations

import queue
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import Event, FailureEvent, FinishEvent, PatchEvent, TextEvent
from uniaudio.engine.memory import content_of
from uniaudio.engine.model_runner import ModelRunner
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.request import (
    Edit,
    EngineConfig,
    GenerationRequest,
    Priority,
    SamplingOptions,
    Speak,
    Understand,
)
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import CancelledByCallerError
from uniaudio.nn.native.library import kernels_reason

pytestmark = pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))

TOLERANCE = 5e-4


@cache
def plain_model(directory: Path) -> SpeechModel:
    return SpeechModel.from_checkpoint(Checkpoint(directory))


@cache
def packed_model(directory: Path, max_positions: int) -> PackedSpeechModel:
    return PackedSpeechModel.pack(plain_model(directory), max_positions=max_positions)


@dataclass(frozen=True)
class Plan:
    """One request of a schedule; `after` is the number of events of all before it comes."""

    kind: int
    seed: int
    voice: int
    num_patches: int
    after: int
    cancel_at: int | None
    priority: Priority


PLANS = st.lists(
    st.builds(
        Plan,
        kind=st.integers(0, 3),
        seed=st.integers(0, 2),
        voice=st.integers(0, 1),
        num_patches=st.integers(1, 8),
        after=st.integers(0, 30),
        cancel_at=st.none() | st.integers(0, 6),
        priority=st.sampled_from(Priority),
    ),
    min_size=1,
    max_size=8,
)


def recording(seed: int, num_frames: int) -> Tensor:
    return torch.randn(num_frames, 64, generator=torch.Generator().manual_seed(seed))


def request_of(plan: Plan, name: str) -> GenerationRequest:
    limits: dict[str, Any] = {"min_patches": plan.num_patches, "max_patches": plan.num_patches}
    voice = recording(plan.voice, 83)
    sampling = SamplingOptions(seed=plan.seed, num_solver_steps=4)
    made = {
        0: lambda: (Speak(text="It was a bright cold day.", **limits), None),
        1: lambda: (Speak(text="Hello there.", prompt_text="Mine.", **limits), voice),
        2: lambda: (Edit(instruction="denoise the audio", **limits), voice),
        3: lambda: (Understand(max_tokens=2 * plan.num_patches), voice),
    }
    task, latents = made[plan.kind]()
    return GenerationRequest(
        request_id=name, task=task, latents=latents, sampling=sampling, priority=plan.priority
    )


def outcome(events: list[Event]) -> tuple[str, list[Tensor]]:
    text = "".join(event.text for event in events if isinstance(event, TextEvent))
    return text, [event.latents for event in events if isinstance(event, PatchEvent)]


ALONE: dict[tuple[int, ...], tuple[str, list[Tensor]]] = {}


def alone(plan: Plan, directory: Path) -> tuple[str, list[Tensor]]:
    """What the plan's request gets in an engine of its own, which has seen nothing."""
    key = (plan.kind, plan.seed, plan.voice, plan.num_patches)
    if key not in ALONE:
        engine = Engine(
            packed_model(directory, 65_536), EngineConfig(max_kept_positions=0, max_kept_patches=0)
        )
        ALONE[key] = outcome(list(engine.generate(request_of(plan, "alone"))))
        engine.close()
    return ALONE[key]


def run_schedule(engine: Engine[Any], plans: list[Plan]) -> list[list[Event]]:
    """Each plan's events; requests come and are cancelled as others' events are told."""
    told: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
    events: list[list[Event]] = [[] for _ in plans]
    to_come = sorted(range(len(plans)), key=lambda index: plans[index].after)
    num_told, num_open = 0, 0
    while to_come or num_open:
        while to_come and (num_open == 0 or plans[to_come[0]].after <= num_told):
            index = to_come.pop(0)
            num_open += 1
            engine.submit(
                request_of(plans[index], f"r{index}"), lambda event, index=index: told.put((index, event))
            )
            if plans[index].cancel_at == 0:
                engine.cancel(f"r{index}")
        index, event = told.get(timeout=60)
        num_told += 1
        events[index].append(event)
        if plans[index].cancel_at == len(events[index]):
            engine.cancel(f"r{index}")
        num_open -= isinstance(event, FinishEvent | FailureEvent)
    return events


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLANS, st.integers(1, 5), st.integers(96, 200), st.integers(5, 80), st.integers(1, 20))
def test_any_schedule_gives_every_request_the_bits_that_it_gets_alone(
    random_checkpoint: Path,
    plans: list[Plan],
    max_running: int,
    max_positions: int,
    step_positions: int,
    beside_speech: int,
) -> None:
    model = PackedSpeechModel.pack(plain_model(random_checkpoint), max_positions=max_positions)
    config = EngineConfig(
        max_running=max_running,
        max_kv_positions=max_positions,
        max_step_positions=step_positions,
        max_step_positions_beside_speech=beside_speech,
        max_kept_positions=64,
        max_kept_patches=20,
    )
    runner: list[ModelRunner] = []
    engine = Engine(model, config, make_runner=lambda m: runner.append(ModelRunner(m, config)) or runner[0])
    events = run_schedule(engine, plans)
    engine.close()
    for plan, told in zip(plans, events, strict=True):
        text, patches = outcome(told)
        expected_text, expected = alone(plan, random_checkpoint)
        if isinstance(told[-1], FailureEvent):
            assert isinstance(told[-1].error, CancelledByCallerError)
            assert expected_text.startswith(text)
            assert len(patches) <= len(expected)
        else:
            assert text == expected_text
            assert len(patches) == len(expected)
        for one, other in zip(patches, expected, strict=False):
            assert torch.equal(one, other)
    runner[0].prefixes.forget(10_000)
    assert model.language_model.pool.num_used == 0
    runner[0].recordings.forget_all()
    assert model.semantic.pool.num_used == 0


@pytest.mark.parametrize("kind", range(4))
def test_the_packed_engine_gives_what_the_plain_one_gives(random_checkpoint: Path, kind: int) -> None:
    plan = Plan(kind, seed=1, voice=0, num_patches=6, after=0, cancel_at=None, priority=Priority.LIVE)
    engine = Engine(plain_model(random_checkpoint), EngineConfig(use_kernels=False, max_step_positions=7))
    text, patches = outcome(list(engine.generate(request_of(plan, "a"))))
    engine.close()
    expected_text, expected = alone(plan, random_checkpoint)
    assert text == expected_text
    assert len(patches) == len(expected)
    for one, other in zip(patches, expected, strict=True):
        torch.testing.assert_close(one, other, atol=TOLERANCE, rtol=0)


def test_a_known_voice_and_prompt_are_not_read_again(random_checkpoint: Path) -> None:
    model = packed_model(random_checkpoint, 65_536)
    runner = ModelRunner(model)
    engine = Engine(model, make_runner=lambda m: runner)
    plan = Plan(1, seed=0, voice=0, num_patches=3, after=0, cancel_at=None, priority=Priority.LIVE)
    first = outcome(list(engine.generate(request_of(plan, "first"))))
    num_steps = engine.stats().num_steps
    assert len(runner.recordings) == 1
    assert len(runner.prefixes or ()) > 0
    again = outcome(list(engine.generate(request_of(plan, "again"))))
    assert engine.stats().num_steps - num_steps == num_steps
    other = request_of(replace(plan, seed=5), "other")
    assert len(outcome(list(engine.generate(other)))[1]) == 3
    engine.close()
    for one, two in zip(first[1], again[1], strict=True):
        assert torch.equal(one, two)


def test_a_known_voice_is_kept_while_others_are_heard(random_checkpoint: Path) -> None:
    model = PackedSpeechModel.pack(plain_model(random_checkpoint))
    config = EngineConfig(max_kept_patches=40)
    runner = ModelRunner(model, config)
    engine = Engine(model, config, make_runner=lambda _: runner)
    plan = Plan(1, seed=0, voice=0, num_patches=3, after=0, cancel_at=None, priority=Priority.LIVE)
    request = request_of(plan, "known")
    assert isinstance(request.task, Speak)
    known = replace(request, task=replace(request.task, known_voice=True))
    first = outcome(list(engine.generate(known)))
    for voice in range(1, 5):
        list(engine.generate(request_of(replace(plan, kind=3, voice=voice), f"heard {voice}")))
    assert len(runner.recordings) == 2  # the voice, and one of 16 patches beside it
    assert request.latents is not None
    content = content_of(request.latents[: 16 * model.patch_size])
    assert runner.recordings.find(content) is not None
    again = outcome(list(engine.generate(replace(known, request_id="again"))))
    engine.close()
    for one, two in zip(first[1], again[1], strict=True):
        assert torch.equal(one, two)


def test_many_small_requests_leave_nothing_behind(random_checkpoint: Path) -> None:
    config = EngineConfig(max_kept_positions=128, max_kept_patches=50)
    model = PackedSpeechModel.pack(plain_model(random_checkpoint))
    engine = Engine(model, config)
    plan = Plan(1, seed=0, voice=0, num_patches=1, after=0, cancel_at=None, priority=Priority.LIVE)
    held = []
    for index in range(60):
        list(engine.generate(request_of(replace(plan, kind=index % 4, voice=index), f"r{index}")))
        held.append((model.language_model.pool.num_used, model.semantic.pool.num_used))
    engine.close()
    assert max(blocks for blocks, _ in held) <= 128 // 16
    assert max(blocks for _, blocks in held[20:]) <= max(blocks for _, blocks in held[:20])
