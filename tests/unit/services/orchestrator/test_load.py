"""What the last minute was like, and who runs and waits now."""

from __future__ import annotations

import asyncio

import pytest

from services.orchestrator.admission import Admission
from services.orchestrator.load import RECENT_SECONDS, RecentSums


def test_a_ratio_is_of_the_last_minute() -> None:
    now = 0.0
    sums = RecentSums(lambda: now)
    assert sums.ratio() is None
    sums.add(1.0, 4.0)
    now = RECENT_SECONDS / 2
    sums.add(3.0, 4.0)
    assert sums.ratio() == pytest.approx(0.5)
    now = RECENT_SECONDS + 1
    assert sums.ratio() == pytest.approx(0.75)
    now = 2 * RECENT_SECONDS
    assert sums.ratio() is None


async def test_admission_counts_who_runs_and_waits() -> None:
    admission = Admission(max_running=1, max_waiting=1, max_wait_seconds=5)
    leave = asyncio.Event()

    async def stay() -> None:
        async with admission.place(lambda: 12.5):
            await leave.wait()

    tasks = [asyncio.create_task(stay()) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (admission.num_running, admission.num_waiting, admission.max_running) == (1, 1, 1)
    assert admission.waiting_audio_seconds == 12.5
    leave.set()
    await asyncio.gather(*tasks)
    assert (admission.num_running, admission.num_waiting) == (0, 0)
    assert admission.waiting_audio_seconds == 0.0
    assert admission.queue_seconds is not None
