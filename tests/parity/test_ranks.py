"""One rank, two or four: the same bits, on goldens and in the engine's whole life."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.parity.test_engine_schedules import Plan, outcome, request_of
from tests.rank_processes import started_ranks
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import Event, FailureEvent, FinishEvent, StartEvent
from uniaudio.engine.request import EngineConfig, Priority
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.nn.held_experts import ExpertShare
from uniaudio.nn.native.library import kernels_reason
from uniaudio.verify import VerifyReport, verify

OWN_GOLDEN = Path(__file__).resolve().parent / "golden_own"
needs_kernels = pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))
# Every kind of request; one is cancelled, and the first gives way to the live ones that come.
PLANS = [
    Plan(kind, kind % 3, kind % 2, num_patches=5 + kind, after=0, cancel_at=cancel_at, priority=priority)
    for kind, cancel_at, priority in (
        (0, None, Priority.BATCH),
        (1, None, Priority.LIVE),
        (2, 3, Priority.LIVE),
        (3, None, Priority.BATCH),
        (2, None, Priority.LIVE),
    )
]


def numbers(report: VerifyReport) -> list[tuple[str, str, float | None]]:
    assert report.bad_rows == ()
    return [(row.golden, row.name, row.difference) for row in report.rows]


@pytest.mark.parametrize("count", [2, 4])
def test_own_goldens_come_out_as_on_one_rank(count: int, free_port: Callable[[], int]) -> None:
    alone = numbers(verify(OWN_GOLDEN))
    plain = {"UNIAUDIO_LLM_USE_KERNELS": "false"}
    with started_ranks(OWN_GOLDEN / "checkpoint", count, free_port(), **plain) as (first, _):
        assert numbers(verify(OWN_GOLDEN, share=first.share)) == alone


@needs_kernels
@pytest.mark.parametrize("count", [2, 4])
def test_the_references_goldens_hold_on_ranks(
    shared_dir: Path, count: int, free_port: Callable[[], int]
) -> None:
    for folder in sorted(path.parent for path in (shared_dir / "golden").glob("*/golden")):
        with started_ranks(folder / "checkpoint", count, free_port()) as (first, _):
            assert verify(folder, use_kernels=True, share=first.share).bad_rows == ()


def meet(engine: Engine[Any]) -> list[list[Event]]:
    """Every plan's events, where all others come as the first begins; so a live one finds it in its way."""
    events: list[list[Event]] = [[] for _ in PLANS]
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()

    def submit(index: int) -> None:
        engine.submit(request_of(PLANS[index], f"r{index}"), lambda event: take(index, event))

    def take(index: int, event: Event) -> None:
        events[index].append(event)
        if index == 0 and isinstance(event, StartEvent):
            for other in range(1, len(PLANS)):
                submit(other)
        if PLANS[index].cancel_at == len(events[index]):
            engine.cancel(f"r{index}")
        if isinstance(event, FinishEvent | FailureEvent):
            ended.put(index)

    submit(0)
    for _ in PLANS:
        ended.get(timeout=120)
    return events


def live(directory: Path, precision: str, share: ExpertShare | None) -> list[tuple[str, list[torch.Tensor]]]:
    """What the plans that go to their end are told where all meet in one engine."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    model = SpeechModel.from_checkpoint(Checkpoint(directory), dtype=dtype, share=share)
    engine = Engine(
        model, EngineConfig(max_running=2, max_kv_positions=112, max_step_positions=24, precision=precision)
    )
    told = meet(engine)
    stats = engine.stats()
    engine.close()
    assert (stats.num_finished, stats.num_cancelled, stats.num_failed) == (len(PLANS) - 1, 1, 0)
    assert stats.num_preempted > 0
    return [outcome(events) for plan, events in zip(PLANS, told, strict=True) if plan.cancel_at is None]


@needs_kernels
@pytest.mark.parametrize(("count", "precision"), [(4, "float32"), (2, "bfloat16"), (2, "int8")])
def test_batching_cancelling_and_giving_way_change_nothing(
    random_checkpoint: Path, count: int, precision: str, free_port: Callable[[], int]
) -> None:
    alone = live(random_checkpoint, precision, None)
    with started_ranks(random_checkpoint, count, free_port(), UNIAUDIO_LLM_DTYPE=precision) as (first, _):
        spread = live(random_checkpoint, precision, first.share)
    for (text, patches), (other_text, others) in zip(alone, spread, strict=True):
        assert text == other_text
        assert len(patches) == len(others)
        for one, other in zip(patches, others, strict=True):
            assert torch.equal(one, other)
