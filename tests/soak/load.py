"""Everything that callers do at once: read, speak, edit, send live audio, run jobs, go away, ask for nonsense."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import soundfile

from uniaudio.client import AsyncSpeechClient, batch
from uniaudio.errors import UniaudioError

_RECORDING = Path(__file__).resolve().parents[2] / "docs" / "nano" / "sentence.flac"
_WORDS = "where can he count the lost needle"
_TEXT = "there were fifteen poor streets in our school"
_RATE = 16_000
_PIECE = 1_600


class Callers:
    """One caller for each kind of request, one request after another; outcomes are counted by kind."""

    def __init__(self, client: AsyncSpeechClient) -> None:
        self._client = client
        self._samples, _ = soundfile.read(_RECORDING, dtype="int16")
        self.outcomes: Counter[tuple[str, str]] = Counter()

    async def run(self) -> None:
        """Until it is cancelled."""
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "transcribe": self._transcribe,
            "speak": self._speak,
            "edit": self._edit,
            "live": self._live,
            "job": self._job,
            "leave": self._leave,
            "nonsense": self._nonsense,
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
        await self._client.transcribe(_RECORDING)

    async def _speak(self) -> None:
        async for _ in self._client.synthesize(_TEXT, prompt_audio=_RECORDING, prompt_text=_WORDS):
            pass

    async def _edit(self) -> None:
        async for _ in self._client.edit(_RECORDING, "delete 'lost'", transcript=_WORDS):
            pass

    async def _live(self) -> None:
        async for _ in self._client.stream_transcribe(self._pieces(), sample_rate=_RATE):
            pass

    async def _pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._samples), _PIECE):
            yield self._samples[start : start + _PIECE].tobytes()
            await asyncio.sleep(_PIECE / _RATE)

    async def _job(self) -> None:
        uploaded = await self._client.jobs.upload(_RECORDING)
        job = await self._client.jobs.create(batch([uploaded], ["make it 3 dB louder", "make it 10% slower"]))
        done = await self._client.jobs.wait(job.job_id)
        async for _ in self._client.jobs.download(done.job_id):
            pass
        await self._client.jobs.delete(done.job_id)

    async def _leave(self) -> None:
        async for _ in self._client.synthesize(_TEXT):
            break  # hangs up in the middle
        await asyncio.sleep(1)

    async def _nonsense(self) -> None:
        await asyncio.sleep(1)
        await self._client.transcribe(_RECORDING.read_bytes()[:1000])
