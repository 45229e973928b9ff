"""Seconds of audio that wait in the jobs' queue."""

from __future__ import annotations

import pytest

from services.orchestrator.jobs.queue import queued_audio_seconds
from tests.jobs_house import JobsHouse, success


def test_what_is_queued_counts_and_nothing_else() -> None:
    house = JobsHouse()
    assert queued_audio_seconds(house.database) == 0.0
    job_id = house.create(items=3)  # recordings of a second
    assert queued_audio_seconds(house.database) == pytest.approx(3.0)
    claim = house.claim(job_id, 0)
    assert queued_audio_seconds(house.database) == pytest.approx(2.0)
    house.work.end([success(claim)])
    house.jobs.cancel("ada", job_id)
    assert queued_audio_seconds(house.database) == 0.0
    house.close()
