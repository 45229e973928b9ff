"""The embedded service of jobs as a process that can be killed, before faked models that take their time.

Run as `python -m tests.jobs_embedded REQUEST_ID RECORDING` with the settings of jobs in the environment:
creates the job (again), waits for its end, and prints the SHA-256 of every item's result.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from services.orchestrator.domain import Sampling
from services.orchestrator.jobs.model import EditStep, ItemSpec, JobSpec
from services.orchestrator.jobs.parts import embedded, open_parts
from services.orchestrator.jobs.settings import JobsSettings
from tests.jobs_worker import fake_processing
from uniaudio.audio.formats import AudioFormat
from uniaudio.runtime.settings import read_settings

SEEDS = range(2)


async def main(request_id: str, recording: Path) -> None:
    """Ends with the job."""
    parts = open_parts(read_settings(JobsSettings))

    async def chunks() -> AsyncIterator[bytes]:
        yield recording.read_bytes()

    async with fake_processing(parts) as process, embedded(parts, process, grace_seconds=5) as desk:
        uploaded = await desk.upload("ada", AudioFormat(), chunks())
        items = tuple(
            ItemSpec(
                recording_id=uploaded.recording_id,
                steps=(EditStep(instruction="make it sound sad", sampling=Sampling(seed=seed)),),
            )
            for seed in SEEDS
        )
        job = await desk.create("ada", request_id, JobSpec(items=items))
        async with aclosing(desk.watch("ada", job.job_id)) as changes:
            async for _ in changes:
                pass
        for item in (await desk.get("ada", job.job_id)).items:
            sha256 = item.result.sha256 if item.result else item.failure
            sys.stdout.write(f"{item.state.value} {item.num_attempts} {sha256}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
