"""The policy follows from the setting and from whether callers are known; sweeps go on after a failure."""

from __future__ import annotations

import asyncio

import pytest

from services.orchestrator.voices.settings import VoicesSettings
from services.orchestrator.voices.sweeping import keep_swept
from uniaudio.errors import UnavailableError
from uniaudio.runtime.settings import read_settings


@pytest.mark.parametrize(
    ("value", "is_authenticating", "allowed"),
    [
        ("", False, True),
        ("", True, False),
        ("auto", True, False),
        ("any", True, True),
        ("registered", False, False),
    ],
)
def test_uploads(value: str, is_authenticating: bool, allowed: bool) -> None:
    settings = read_settings(VoicesSettings, {"UNIAUDIO_PROMPT_VOICES": value})
    assert settings.policy(is_authenticating=is_authenticating).uploads_allowed is allowed


async def test_a_failed_sweep_is_tried_again() -> None:
    swept = asyncio.Event()

    class Registry:
        num_sweeps = 0

        async def sweep(self) -> int:
            self.num_sweeps += 1
            if self.num_sweeps == 1:
                raise UnavailableError("away")
            swept.set()
            return 1

    registry = Registry()
    async with keep_swept(registry, every_seconds=0.001):  # type: ignore[arg-type]
        await asyncio.wait_for(swept.wait(), 10)
    num_sweeps = registry.num_sweeps
    await asyncio.sleep(0.02)
    assert registry.num_sweeps == num_sweeps
