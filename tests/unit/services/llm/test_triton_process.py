"""What a server says of itself is read: a fatal signal is known though the process never ends."""

from __future__ import annotations

import asyncio
import os
import sys

from services.llm.triton_layout import TritonCommand
from services.llm.triton_process import TritonProcess

DYING = "import time; print('double free'); print('Signal (6) received.', flush=True); time.sleep(600)"
LIVING = "import time; print('Signals are fine', flush=True); time.sleep(600)"


async def started(program: str) -> TritonProcess:
    command = TritonCommand(arguments=(sys.executable, "-c", program), environment=dict(os.environ))
    return await TritonProcess.start(command)


async def test_a_server_that_hangs_in_its_last_words_is_known_as_lost() -> None:
    process = await started(DYING)
    try:
        async with asyncio.timeout(30):
            while process.fatal_signal is None:
                await asyncio.sleep(0.05)
        assert process.fatal_signal == 6
        assert process.exit_code is None
    finally:
        await process.kill()


async def test_other_words_mean_nothing() -> None:
    process = await started(LIVING)
    try:
        async with asyncio.timeout(30):
            while not process.last_lines:
                await asyncio.sleep(0.05)
        assert process.fatal_signal is None
    finally:
        await process.kill()
