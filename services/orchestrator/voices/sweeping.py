"""Audio of voices that nobody may imitate any more is removed, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from services.orchestrator.voices.registry import VoiceRegistry
from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)


@asynccontextmanager
async def keep_swept(
    registry: VoiceRegistry, *, every_seconds: float = 3_600.0
) -> AsyncGenerator[None, None]:
    """Sweeps at once and then as often as told, as long as it is open."""
    sweeping = asyncio.create_task(_sweep_again_and_again(registry, every_seconds))
    try:
        yield
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)


async def _sweep_again_and_again(registry: VoiceRegistry, every_seconds: float) -> None:
    while True:
        try:
            num_removed = await registry.sweep()
        except UniaudioError as error:
            log.warning("voices could not be swept; trying again", cause=error.message)
        else:
            if num_removed:
                log.info("removed audio of voices that nobody may imitate", voices=num_removed)
        await asyncio.sleep(every_seconds)
