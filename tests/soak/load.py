"""Everything that callers do, at once: reading, speaking, editing, live audio, jobs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np

from tests.fakes_speech import speech_like
from uniaudio.client import AsyncSpeechClient, batch
from uniaudio.errors import UniaudioError

_RATE = 16_000
_PIECE = 1_600
_TEXT = "The quick brown fox jumps over the lazy dog."


class Callers:
    """One caller for each kind of request, one request after another; outcomes are counted by kind."""

    def __init__(self, client: AsyncSpeechClient) -> None:
        self._client = client
        self._recording = speech_like(1.0, 0.7)
        self.outcomes: Counter[tuple[str, str]] = Counter()

    async def run(self) -> None:
        """Until it is cancelled."""
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "transcribe": self._transcribe,
            "speak": self._speak,
            "edit": self._edit,
            "live": self._live,
            "job": self._job,
        }
        async with asyncio.TaskGroup() as group:
            for name, ask in kinds.items():
                group.create_task(self._again_and_again(name, ask))

    async def _again_and_again(self, name: str, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await ask()
            except UniaudioError as error:
                self.outcomes[name, error.reason] += 1
                await asyncio.sleep(0.5)
            else:
                self.outcomes[name, "OK"] += 1

    async def _transcribe(self) -> None:
        await self._client.transcribe(self._recording, sample_rate=_RATE)

    async def _speak(self) -> None:
        async for _ in self._client.synthesize(_TEXT):
            pass

    async def _edit(self) -> None:
        async for _ in self._client.edit(self._recording, "make it 20% faster", sample_rate=_RATE):
            pass

    async def _live(self) -> None:
        async for _ in self._client.stream_transcribe(self._pieces(), sample_rate=_RATE):
            pass

    async def _pieces(self) -> AsyncIterator[bytes]:
        samples = (self._recording * 32767).astype(np.int16)
        for start in range(0, len(samples), _PIECE):
            yield samples[start : start + _PIECE].tobytes()
            await asyncio.sleep(_PIECE / _RATE)

    async def _job(self) -> None:
        uploaded = await self._client.jobs.upload(self._recording, sample_rate=_RATE)
        job = await self._client.jobs.create(batch([uploaded], ["make it 3 dB louder", "make it 10% slower"]))
        done = await self._client.jobs.wait(job.job_id)
        async for _ in self._client.jobs.download(done.job_id):
            pass
        await self._client.jobs.delete(done.job_id)
