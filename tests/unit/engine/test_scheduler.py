"""Who takes part in a step: by priority, by age, by who is behind."""

from __future__ import annotations

from tests.engine_house import sequence
from uniaudio.engine.request import EngineConfig, Priority
from uniaudio.engine.scheduler import Scheduler
from uniaudio.engine.sequence import PromptRead


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
