"""One rank, two or four: the same bits, on goldens and in the engine's whole life."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.parity.test_engine_schedules import Plan, outcome, run_schedule
from tests.rank_processes import started_ranks
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import FailureEvent
from uniaudio.engine.request import EngineConfig, Priority
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import CancelledByCallerError
from uniaudio.nn.held_experts import ExpertShare
from uniaudio.nn.native.library import kernels_reason
from uniaudio.verify import VerifyReport, verify

OWN_GOLDEN = Path(__file__).resolve().parent / "golden_own"
needs_kernels = pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))
# Every kind of request; more positions than there are blocks for, one cancelled, one that gives way.
PLANS = [
    Plan(
        kind,
        seed=kind % 3,
        voice=kind % 2,
        num_patches=5 + kind,
        after=3 * place,
        cancel_at=cancel,
        priority=way,
    )
    for place, (kind, cancel, way) in enumerate(
        [
            (0, None, Priority.BATCH),
            (1, None, Priority.LIVE),
            (2, 3, Priority.LIVE),
            (3, None, Priority.BATCH),
            (2, None, Priority.LIVE),
        ]
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


def live(directory: Path, precision: str, share: ExpertShare | None) -> list[tuple[str, list[torch.Tensor]]]:
    """What every plan is told where all of them meet in one engine, with few blocks."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    model = SpeechModel.from_checkpoint(Checkpoint(directory), dtype=dtype, share=share)
    config = EngineConfig(max_running=2, max_kv_positions=112, max_step_positions=24, precision=precision)
    engine = Engine(model, config)
    told = run_schedule(engine, PLANS)
    stats = engine.stats()
    engine.close()
    assert stats.num_preempted > 0
    for plan, events in zip(PLANS, told, strict=True):
        if isinstance(events[-1], FailureEvent):
            assert plan.cancel_at is not None
            assert isinstance(events[-1].error, CancelledByCallerError)
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
