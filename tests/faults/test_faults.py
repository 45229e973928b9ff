"""Every fault around jobs, one after another at random moments under load: nothing lost, nothing done twice.

`make test-faults` gives each of them a round of its own, longer, and writes docs/faults.md.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS
from tests.faults.house import House
from tests.faults.pace import SHORT
from tests.faults.rounds import play

SEED = int(os.environ.get("UNIAUDIO_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


@pytest.mark.timeout(300)
async def test_jobs_keep_what_they_promise_whatever_fails(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    faults = [fault for fault in FAULTS if not fault.is_long]
    rng.shuffle(faults)
    with House(tmp_path, SHORT).running() as house:
        shown = await play(house, faults, rng)
    told = f"seed {SEED}: {shown}\n{house.door.tail()}"
    assert not shown.verdict.broken, told
    assert shown.verdict.items["succeeded"] > 0, told
