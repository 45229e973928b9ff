"""A worker process as `services.orchestrator.worker`, before faked models that take their time.

Run as `python -m tests.jobs_worker`, with the settings of jobs in the environment. SLOW_PATCH_SECONDS is
how long a patch takes; RESUMED_FILE gets a line for each generation that went on, with its patches.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from services.orchestrator.clients import Generated, PatchMade, Task, Understand
from services.orchestrator.domain import Sampling
from services.orchestrator.jobs.file_edits import editor_maker
from services.orchestrator.jobs.parts import JobParts
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.jobs.worker import Process
from services.orchestrator.worker import work
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, FakeTools, Floats, noise_patches, reading
from uniaudio.runtime.logging import setup_logging
from uniaudio.runtime.settings import read_settings

NUM_PATCHES = 80


def speaking(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
    """Eight seconds that the seed decides."""
    if isinstance(task, Understand):
        return reading()(task, latents, sampling)
    return [*noise_patches(NUM_PATCHES, (sampling.seed or 0) % 2**32)]


class SlowModel(FakeLanguageModel):
    """Takes its time for each patch that it really makes."""

    async def generate(
        self, task: Task, latents: Floats | None, sampling: Sampling, *, made: Floats | None = None
    ) -> AsyncGenerator[Generated, None]:
        num_given = 0 if made is None else len(made)
        if num_given:
            with Path(os.environ["RESUMED_FILE"]).open("a") as file:
                file.write(f"{num_given}\n")
        num_patches = 0
        async with aclosing(super().generate(task, latents, sampling, made=made)) as events:
            async for event in events:
                if isinstance(event, PatchMade):
                    num_patches += 1
                    if num_patches > num_given:
                        await asyncio.sleep(float(os.environ["SLOW_PATCH_SECONDS"]))
                yield event


@asynccontextmanager
async def fake_processing(parts: JobParts) -> AsyncGenerator[Process, None]:
    """Items done with fakes."""
    yield parts.processor(FakeTokenizer(), SlowModel(speaking), editor_maker(FakeTools()))


if __name__ == "__main__":
    setup_logging("worker")
    work(read_settings(JobsSettings), fake_processing, grace_seconds=5)
