"""One round: load, a fault at a random moment, its end, a calm, and the judgement."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.faults.fault import Fault, PlaceT
from tests.faults.load import Load
from tests.faults.oracle import Verdict, judge
from tests.stack import is_serving
from uniaudio.client import AsyncSpeechClient


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round showed. Seconds are counted from the end of the last fault, as a caller sees it."""

    name: str
    how: str
    strikes: str
    verdict: Verdict
    refusals: dict[str, int]
    new_job_seconds: float
    """Until a job that was asked for after the fault had ended."""
    old_jobs_seconds: float
    """Until all jobs that were accepted before had ended; 0 where they had before the fault was over."""


async def play(
    place: PlaceT, faults: Sequence[Fault[PlaceT]], rng: random.Random, *, name: str = ""
) -> Round:
    """Every fault one after another, each as often as its pace says, under one load."""
    async with AsyncSpeechClient(place.address, timeout_seconds=20) as client:
        await _until_served(place)
        load = Load(client, rng, place.pace)
        running = asyncio.create_task(load.run())
        try:
            await load.until_one_asked_after(0)
            for fault in faults:
                for _ in range(fault.times(place.pace)):
                    await asyncio.sleep(rng.uniform(*place.pace.before_seconds))
                    await _strike(place, fault, rng)
            over_at = time.monotonic()
            await load.until_one_asked_after(over_at)
            load.stop()
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return Round(
            name=name or faults[0].name,
            how=", ".join(fault.how for fault in faults),
            strikes=_strikes(place, faults),
            verdict=await judge(place, client, load),
            refusals=dict(load.refusals),
            new_job_seconds=min(
                o.ended_at - over_at for o in load.orders if o.ended_at and o.asked_at > over_at
            ),
            old_jobs_seconds=max(
                [
                    0.0,
                    *(o.ended_at - over_at for o in load.accepted if o.ended_at and o.accepted_at <= over_at),
                ]
            ),
        )


async def _until_served(place: PlaceT) -> None:
    async with asyncio.timeout(place.pace.patience_seconds):
        while not await asyncio.to_thread(is_serving, place.address):
            await asyncio.sleep(0.1)


async def _strike(place: PlaceT, fault: Fault[PlaceT], rng: random.Random) -> None:
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, fault.strike(place, rng))
        await asyncio.sleep(fault.seconds(place.pace))
        await asyncio.to_thread(stack.close)


def _strikes(place: PlaceT, faults: Sequence[Fault[PlaceT]]) -> str:
    return ", ".join(f"{fault.times(place.pace)} x {fault.seconds(place.pace):g} s" for fault in faults)
