"""Callers of jobs: each uploads a recording, creates a job, follows it to its end, and begins anew."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fakes_speech import tone
from tests.faults.pace import Pace
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.client import AsyncSpeechClient
from uniaudio.client.job_requests import EditItem, edit_step
from uniaudio.errors import UniaudioError
from uniaudio.v1 import jobs_pb2, llm_pb2

INSTRUCTION = "make it sound sad"
_PAUSE_SECONDS = 0.2


@dataclass(eq=False)
class Order:
    """A job that a caller wants: for each item the seeds of its chain of edits. Times are monotonic."""

    request_id: str
    recording: bytes
    seeds: tuple[tuple[int, ...], ...]
    asked_at: float = field(default_factory=time.monotonic)
    job_id: str = ""
    accepted_at: float | None = None
    ended_at: float | None = None

    def items(self) -> list[EditItem]:
        """As the client sends them."""
        return [
            EditItem(
                audio=self.recording,
                edits=[edit_step(INSTRUCTION, sampling=_of_one_take(seed)) for seed in chain],
            )
            for chain in self.seeds
        ]


def _of_one_take(seed: int) -> llm_pb2.SamplingOptions:
    """The recordings are tones: no take of theirs ever has the right words, and nano would make eight of each."""
    return llm_pb2.SamplingOptions(seed=seed, takes=1)


class Load:
    """Callers that go on whatever happens. Every refusal is counted by its reason."""

    def __init__(self, client: AsyncSpeechClient, rng: random.Random, pace: Pace) -> None:
        self._client = client
        self._rng = rng
        self._pace = pace
        self._is_over = asyncio.Event()
        self.orders: list[Order] = []
        self.refusals: Counter[str] = Counter()

    @property
    def accepted(self) -> list[Order]:
        """Orders that were accepted."""
        return [order for order in self.orders if order.accepted_at is not None]

    async def run(self) -> None:
        """Until `stop`, and until all that was accepted has ended; or until patience does."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._pace.num_customers):
                group.create_task(self._customer())

    def stop(self) -> None:
        """Nobody begins anything more."""
        self._is_over.set()

    async def until_one_asked_after(self, moment: float) -> None:
        """Returns when a job that was asked for after `moment` has ended."""
        async with asyncio.timeout(self._pace.patience_seconds):
            while not any(order.asked_at > moment and order.ended_at for order in self.orders):
                await asyncio.sleep(0.05)

    async def _customer(self) -> None:
        while not self._is_over.is_set():
            order = self._next()
            self.orders.append(order)
            if await self._insist(order):
                await self._follow(order)

    def _next(self) -> Order:
        rng = self._rng
        chains = [(1,), (1, 1), (2,), (1,)]  # steps of each item's chain
        seeds = tuple(tuple(rng.randrange(2**31) for _ in range(steps)) for steps in rng.choice(chains))
        waveform = tone(1.0, level=rng.uniform(0.1, 0.9))
        recording = encode_audio(waveform, AudioFormat(encoding=AudioEncoding.WAV))
        return Order(request_id=f"{rng.getrandbits(128):032x}", recording=recording, seeds=seeds)

    async def _insist(self, order: Order) -> bool:
        """Asks until it is accepted; gives up what is refused for good."""
        while True:
            try:
                job = await self._client.jobs.create(
                    order.items(), request_id=order.request_id, timeout_seconds=20
                )
            except UniaudioError as error:
                self.refusals[error.reason] += 1
                if not error.retryable and not self._is_lost(error):
                    return False
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            order.job_id, order.accepted_at = job.job_id, time.monotonic()
            return True

    async def _follow(self, order: Order) -> None:
        deadline = time.monotonic() + self._pace.patience_seconds
        while time.monotonic() < deadline:
            try:
                async for job in self._client.jobs.watch(order.job_id):
                    if job.end_time.seconds:
                        order.ended_at = time.monotonic()
                        return
            except UniaudioError as error:
                self.refusals[error.reason] += 1
                await asyncio.sleep(_PAUSE_SECONDS)

    def _is_lost(self, error: UniaudioError) -> bool:
        """Whether nobody knows what became of the request: it is sent again under the same id."""
        return error.reason in ("CANCELLED", "DEADLINE_EXCEEDED")


async def job_of(client: AsyncSpeechClient, order: Order) -> jobs_pb2.EditJob:
    """An accepted order's job, as it is now."""
    return await client.jobs.get(order.job_id, timeout_seconds=20)
