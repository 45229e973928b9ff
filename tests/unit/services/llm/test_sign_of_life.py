"""Whether a rank moves, seen from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.llm.settings import RankSettings
from services.llm.sign_of_life import SignOfLife
from uniaudio.errors import UnavailableError


def test_a_rank_that_loads_is_left_alone_and_one_that_stopped_is_told(tmp_path: Path) -> None:
    now = [1000.0]
    ranks = RankSettings(rank=2, count=3, port=5000)
    served, seen = (SignOfLife(ranks, tmp_path, clock=lambda: now[0]) for _ in range(2))
    seen.check(limit_seconds=40)
    served.touch()
    now[0] += 40
    seen.check(limit_seconds=40)
    now[0] += 1
    with pytest.raises(UnavailableError, match="rank 2 has not moved for 41 s"):
        seen.check(limit_seconds=40)
    served.touch()
    seen.check(limit_seconds=40)
    now[0] += 100
    served.clear()
    seen.check(limit_seconds=40)
