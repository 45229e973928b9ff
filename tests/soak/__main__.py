"""Mixed load on the local stack for a while, and whether anything grew: `python -m tests.soak`, or `make soak`.

Writes every sample as CSV and a picture of them; ends with 1 where memory, files or shared memory grow.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.soak.load import Callers
from tests.soak.page import draw, keep, put_on_page, table
from tests.soak.verdict import trends
from tests.soak.watch import Sample, look
from tests.stack import start_stack
from uniaudio.client import AsyncSpeechClient
from uniaudio.runtime.ports import free_port

_START_SECONDS = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing grew."""
    wanted = _parser().parse_args(arguments)
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="uniaudio-soak-") as folder:
        backend = ("--tokenizer-backend", wanted.tokenizer_backend)
        stack = start_stack(Path(folder), free_port, arguments=backend)
        try:
            stack.wait_until_serving(_START_SECONDS)
            soaking = soak(stack.address, stack.process.pid, wanted.seconds, wanted.every_seconds)
            samples, callers = asyncio.run(soaking)
        finally:
            stack.stop()
    keep(samples, wanted.folder / "soak.csv")
    draw(samples, wanted.folder)
    found = trends(samples)
    told = table(found, callers.outcomes, wanted.seconds)
    sys.stdout.write(told + "\n")
    if wanted.write:
        put_on_page(told, samples)
    return 0 if all(trend.is_flat for trend in found) else 1


async def soak(address: str, pid: int, seconds: float, every_seconds: float) -> tuple[list[Sample], Callers]:
    """Samples of everything at and below `pid` under load."""
    samples: list[Sample] = []
    async with AsyncSpeechClient(address) as client:
        callers = Callers(client)
        calling = asyncio.create_task(callers.run())
        began = time.monotonic()
        try:
            while time.monotonic() - began < seconds and not calling.done():
                samples += await asyncio.to_thread(look, pid, began)
                await asyncio.sleep(every_seconds)
        finally:
            calling.cancel()
            await asyncio.wait([calling])
        if not calling.cancelled():
            calling.result()  # raises what ended it
    return samples, callers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3_600.0)
    parser.add_argument("--every-seconds", type=float, default=5.0, help="between two looks")
    parser.add_argument(
        "--folder", type=Path, default=Path(".cache/soak"), help="takes soak.csv and pictures"
    )
    parser.add_argument("--tokenizer-backend", default="ray")
    parser.add_argument("--write", action="store_true", help="write docs/soak.md and its pictures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
