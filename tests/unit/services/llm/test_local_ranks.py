"""What a rank of this machine is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.llm.local_ranks import LocalRanks
from services.llm.settings import LlmSettings, RankSettings
from uniaudio.errors import StartupError
from uniaudio.runtime.settings import read_settings


def settings(**fields: object) -> LlmSettings:
    return LlmSettings(model_dir=Path("model"), **fields)  # type: ignore[arg-type]


def test_one_rank_needs_to_know_nothing() -> None:
    assert LocalRanks(settings(), {}).environment() == {}


def test_ranks_are_told_where_they_meet_and_which_they_are() -> None:
    ranks = LocalRanks(settings(num_ranks=3), {})
    read = [read_settings(RankSettings, ranks.environment(rank)) for rank in range(3)]
    assert [(each.rank, each.count, each.host) for each in read] == [
        (rank, 3, "127.0.0.1") for rank in range(3)
    ]
    assert len({each.port for each in read}) == 1


def test_each_rank_has_a_gpu_of_its_own_and_a_share_of_the_cores() -> None:
    found = LocalRanks(settings(num_ranks=2, device="cuda:0"), {}).environment(1)
    assert found["UNIAUDIO_LLM_DEVICE"] == "cuda:1"
    assert int(found["UNIAUDIO_LLM_NUM_THREADS"]) >= 1
    stated = LocalRanks(settings(num_ranks=2, num_threads=5), {}).environment(1)
    assert "UNIAUDIO_LLM_NUM_THREADS" not in stated
    assert "UNIAUDIO_LLM_DEVICE" not in stated


def test_ranks_here_and_elsewhere_at_once_are_refused() -> None:
    with pytest.raises(StartupError, match="set one of the two"):
        LocalRanks(settings(num_ranks=2), {"WORLD_SIZE": "4"})
