"""What several integration tests stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.orchestrator_house import House, running_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with running_house() as house:
        yield house
