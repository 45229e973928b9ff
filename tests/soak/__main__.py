"""Mixed load on the local stack for a while, and whether anything grew: `python -m tests.soak`, or `make soak`.

Writes every sample as CSV and a picture of them; ends with 1 where memory, files or shared memory grow.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from tests.soak.load import Callers
from tests.soak.verdict import Trend, trends
from tests.soak.watch import Sample, look
from tests.stack import start_stack
from uniaudio.client import AsyncSpeechClient
from uniaudio.evaluation.plots import lines
from uniaudio.runtime.ports import free_port

_START_SECONDS = 600.0
_MIB = 2**20
_UNITS = {"rss": (_MIB, "MiB"), "files": (1, ""), "shm": (_MIB, "MiB")}


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
    _write(wanted.folder, samples)
    found = trends(samples)
    _say(_table(found, callers, wanted.seconds))
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


def _write(folder: Path, samples: Sequence[Sample]) -> None:
    with (folder / "soak.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([field.name for field in fields(Sample)])
        rows.writerows(map(astuple, samples))
    for measure, (unit, name) in _UNITS.items():
        kinds = sorted({sample.kind for sample in samples if sample.measure == measure})
        curves = {kind: _curve(samples, kind, measure, unit) for kind in kinds}
        picture = lines(curves, x="minutes", y=f"{measure} {name}".strip())
        (folder / f"soak-{measure}.png").write_bytes(picture)


def _curve(
    samples: Sequence[Sample], kind: str, measure: str, unit: float
) -> tuple[list[float], list[float]]:
    found = [sample for sample in samples if (sample.kind, sample.measure) == (kind, measure)]
    return [sample.seconds / 60 for sample in found], [sample.value / unit for sample in found]


def _table(found: Sequence[Trend], callers: Callers, seconds: float) -> str:
    rows = [f"{seconds:g} s of mixed load.", "", "| request | outcome | number |", "|---|---|---|"]
    rows += [f"| {kind} | {how} | {count} |" for (kind, how), count in sorted(callers.outcomes.items())]
    rows += ["", "| what | of | first, when warm | last | an hour | |", "|---|---|---|---|---|---|"]
    for trend in found:
        unit, name = _UNITS[trend.measure]
        values = [f"{value / unit:.1f} {name}" for value in (trend.first, trend.last, trend.an_hour)]
        told = "flat" if trend.is_flat else "GROWS"
        rows.append(f"| {trend.measure} | {trend.kind} | {' | '.join(values)} | {told} |")
    return "\n".join(rows)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3_600.0)
    parser.add_argument("--every-seconds", type=float, default=5.0, help="between two looks")
    parser.add_argument(
        "--folder", type=Path, default=Path(".cache/soak"), help="takes soak.csv and pictures"
    )
    parser.add_argument("--tokenizer-backend", default="ray")
    return parser


if __name__ == "__main__":
    sys.exit(main())
