"""The engine before a model that only counts, and what its callers keep of their events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tests.fake_runner import FakeRunner, speak
from uniaudio.engine.budget import Budget
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import (
    Event,
    FailureEvent,
    FinishEvent,
    PatchEvent,
)
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.request import Edit, EngineConfig, GenerationRequest, Understand
from uniaudio.engine.sequence import Sequence

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
    """An engine before a model that only counts, closed at the end."""
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


def wait_for(holds: Callable[[], bool]) -> None:
    """Returns once it holds."""
    waiter = threading.Event()
    for _ in range(1000):
        if holds():
            return
        waiter.wait(0.01)
    raise AssertionError("not so within 10 s")
