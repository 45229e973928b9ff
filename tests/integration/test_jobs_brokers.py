"""Jobs through all real parts of a cluster: gRPC, PostgreSQL, a broker, a worker process, results on S3."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.house import House
from tests.faults.pace import SHORT
from tests.faults.rounds import play


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
async def test_each_item_is_done_once_and_its_result_lies_whole_in_the_store(
    tmp_path: Path, broker: str
) -> None:
    # Leases that outlast the test: whatever was lost would show as a job that never ends.
    pace = replace(SHORT, num_workers=1, num_customers=3, lease_seconds=300)
    with House(tmp_path, pace, broker=broker).running() as house:
        shown = await play(house, [], random.Random(1), name=broker)
    told = f"{shown}\n{house.door.tail()}"
    assert not shown.verdict.broken, told
    assert shown.verdict.items["failed"] == 0, told
    assert shown.verdict.num_attempts == shown.verdict.items["succeeded"] >= 3, told
