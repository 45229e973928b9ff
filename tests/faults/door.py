"""The front door of jobs as a process of its own: all of it real, but no models and no guard.

Run as `python -m tests.faults.door`, with the settings of jobs in the environment and its port in DOOR_PORT.
"""

from __future__ import annotations

import asyncio
import os

from services.orchestrator.admission import Admission
from services.orchestrator.job_servicer import EditJobServicer, edit_job_service
from services.orchestrator.jobs.parts import open_desk, open_parts
from services.orchestrator.jobs.settings import JobsSettings
from tests.jobs_worker import fake_processing
from uniaudio.runtime.logging import setup_logging
from uniaudio.runtime.server import Server, ServerConfig
from uniaudio.runtime.settings import read_settings

CALLER = "ada"
GRACE_SECONDS = 5.0


async def main() -> None:
    """Serves until SIGTERM; does the items itself where the settings name no broker."""
    parts = open_parts(read_settings(JobsSettings))
    async with (
        fake_processing(parts) as process,
        open_desk(parts, process, grace_seconds=GRACE_SECONDS) as desk,
    ):
        servicer = EditJobServicer(
            desk,
            lambda: CALLER,
            transfers=Admission(max_running=16, max_waiting=16, max_wait_seconds=5),
            watches=Admission(max_running=64, max_waiting=0, max_wait_seconds=1),
        )
        config = ServerConfig(port=int(os.environ["DOOR_PORT"]), grace_seconds=GRACE_SECONDS)
        server = Server([edit_job_service(servicer)], config)
        server.on_stopping(servicer.leave)
        await server.serve_until_signal()


if __name__ == "__main__":
    setup_logging("orchestrator")
    asyncio.run(main())
