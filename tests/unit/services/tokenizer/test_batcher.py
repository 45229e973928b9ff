"""The batcher joins what waits, keeps its order and bounds, and outlives failures and callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from services.tokenizer.batcher import Batcher
from uniaudio.errors import LimitExceededError, QueueFullError, UnavailableError, UniaudioError


class Doubler:
    """Doubles numbers, once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def run(self, steps: Sequence[int]) -> list[int]:
        self.entered.set()
        assert self.gate.wait(10)
        self.batches.append(list(steps))
        if 13 in steps:
            raise ValueError("unlucky")
        return [2 * step for step in steps]


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


@pytest.fixture
async def batcher(doubler: Doubler) -> AsyncIterator[Batcher[int, int]]:
    batcher: Batcher[int, int] = Batcher(doubler.run, max_sessions=8, max_batch_cost=4)
    batcher.start()
    yield batcher
    doubler.gate.set()
    await batcher.close()


async def start_first(doubler: Doubler, batcher: Batcher[int, int]) -> asyncio.Task[int]:
    """A step that is being run, so that whatever follows waits."""
    first = asyncio.create_task(batcher.submit(0, 1))
    assert await asyncio.to_thread(doubler.entered.wait, 10)
    return first


async def test_what_waits_together_runs_together(doubler: Doubler, batcher: Batcher[int, int]) -> None:
    first = await start_first(doubler, batcher)
    rest = [asyncio.create_task(batcher.submit(n, 1)) for n in range(1, 7)]
    await asyncio.sleep(0)
    doubler.gate.set()
    assert await asyncio.gather(first, *rest) == [0, 2, 4, 6, 8, 10, 12]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_a_step_above_the_cost_runs_alone(doubler: Doubler, batcher: Batcher[int, int]) -> None:
    first = await start_first(doubler, batcher)
    rest = [asyncio.create_task(batcher.submit(n, cost)) for n, cost in ((1, 2), (2, 100), (3, 1))]
    await asyncio.sleep(0)
    doubler.gate.set()
    await asyncio.gather(first, *rest)
    assert doubler.batches == [[0], [1], [2], [3]]


async def test_a_caller_who_left_is_skipped(doubler: Doubler, batcher: Batcher[int, int]) -> None:
    first = await start_first(doubler, batcher)
    gone, stays = (asyncio.create_task(batcher.submit(n, 1)) for n in (1, 2))
    await asyncio.sleep(0)
    assert batcher.queued_cost == 2
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    doubler.gate.set()
    assert await asyncio.gather(first, stays) == [0, 4]
    assert doubler.batches == [[0], [2]]
    assert batcher.queued_cost == 0


async def test_a_failure_reaches_its_batch_and_no_other(doubler: Doubler, batcher: Batcher[int, int]) -> None:
    doubler.gate.set()
    with pytest.raises(ValueError, match="unlucky"):
        await batcher.submit(13, 1)
    assert await batcher.submit(4, 1) == 8
    batcher.check(stall_seconds=1)


async def test_a_step_that_cannot_be_taken_fails_alone() -> None:
    def run(steps: Sequence[int]) -> list[int | UniaudioError]:
        return [LimitExceededError(f"{n} is too much") if n > 9 else 2 * n for n in steps]

    batcher: Batcher[int, int] = Batcher(run, max_sessions=8, max_batch_cost=10)
    batcher.start()
    answers = await asyncio.gather(*(batcher.submit(n, 1) for n in (1, 10, 3)), return_exceptions=True)
    assert (answers[0], answers[2]) == (2, 6)
    assert isinstance(answers[1], LimitExceededError)
    await batcher.close()


async def test_sessions_are_bounded_and_freed(batcher: Batcher[int, int]) -> None:
    held = [batcher.session() for _ in range(8)]
    for session in held:
        session.__enter__()
    with pytest.raises(QueueFullError, match="8 calls are in progress and 8 are allowed") as caught:
        batcher.session().__enter__()
    assert caught.value.metadata["retry_after_seconds"] == "1.0"
    held[0].__exit__(None, None, None)
    with batcher.session():
        assert batcher.num_sessions == 8


async def test_a_hanging_step_is_noticed(doubler: Doubler, batcher: Batcher[int, int]) -> None:
    first = await start_first(doubler, batcher)
    assert not batcher.is_idle
    with pytest.raises(UnavailableError, match="has been running for more than"):
        batcher.check(stall_seconds=0)
    doubler.gate.set()
    await first
    batcher.check(stall_seconds=0)


async def test_closing_ends_those_who_wait(doubler: Doubler, batcher: Batcher[int, int]) -> None:
    first = await start_first(doubler, batcher)
    waiting = asyncio.create_task(batcher.submit(1, 1))
    await asyncio.sleep(0)
    doubler.gate.set()
    await batcher.close()
    for answer in await asyncio.gather(first, waiting, return_exceptions=True):
        assert answer in (0, 2) or isinstance(answer, UnavailableError)
    with pytest.raises(UnavailableError, match="not running"):
        batcher.check(stall_seconds=1)
