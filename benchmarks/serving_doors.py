"""The ways to the same speech: Triton itself, the orchestrator over gRPC, the gateway over HTTP."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx2 as httpx

from benchmarks.serving_load import Answer, Piece
from uniaudio.client import AsyncSpeechClient, consent, sampling
from uniaudio.errors import DeadlineError, UniaudioError
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.llm_events import FinishEvent, PatchEvent
from uniaudio.v1 import llm_pb2

FRAME_RATE = 50
SAMPLE_BYTES, SAMPLE_RATE = 2, 16_000
WAV_HEADER_BYTES = 44
CALL_SECONDS = 120.0
VOICE = Path(__file__).parents[1] / "docs/nano/sentence.flac"


@dataclass(frozen=True)
class Sentence:
    """What is said, as it is spoken after normalisation, and the seed that makes it the same again."""

    text: str
    seed: int


class _Listener:
    """Notes when sound comes, from the moment that it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._pieces: list[Piece] = []

    def hear(self, seconds: float) -> None:
        self._pieces.append(Piece(time.monotonic() - self._began, seconds))

    def hear_samples(self, num_bytes: int) -> None:
        self.hear(num_bytes / SAMPLE_BYTES / SAMPLE_RATE)

    def answer(self, failure: str = "", *, engine_seconds: float | None = None) -> Answer:
        return Answer(tuple(self._pieces), time.monotonic() - self._began, engine_seconds, failure)


class Door(Protocol):
    """A way to speech. What it cannot serve comes as an answer with a `failure`."""

    name: str

    async def speak(self, sentence: Sentence) -> Answer: ...


class TritonDoor:
    """The engine's own service: latents, no sound yet."""

    name = "Triton, gRPC"

    def __init__(self, client: LlmClient) -> None:
        self._client = client
        self._numbers = itertools.count()

    async def speak(self, sentence: Sentence) -> Answer:
        options = llm_pb2.GenerateOptions(
            request_id=f"benchmark/{next(self._numbers)}",
            speak=llm_pb2.SpeakTask(text=sentence.text),
            sampling=llm_pb2.SamplingOptions(seed=sentence.seed),
        )
        listener, engine_seconds = _Listener(), 0.0
        try:
            async with aclosing(self._client.generate(options, timeout=CALL_SECONDS)) as events:
                async for event in events:
                    if isinstance(event, PatchEvent):
                        listener.hear(len(event.latents) / FRAME_RATE)
                    elif isinstance(event, FinishEvent):
                        engine_seconds = event.total_seconds
        except UniaudioError as error:
            return listener.answer(error.reason)
        return listener.answer(engine_seconds=engine_seconds)


class GrpcDoor:
    """SpeechService, as its Python client has it; with a `voice_id`, in a voice that is known."""

    def __init__(self, client: AsyncSpeechClient, voice_id: str = "") -> None:
        self.name = "orchestrator, gRPC, known voice" if voice_id else "orchestrator, gRPC"
        self._client = client
        self._voice_id = voice_id

    async def speak(self, sentence: Sentence) -> Answer:
        listener = _Listener()
        try:
            stream = self._client.synthesize(
                sentence.text,
                voice_id=self._voice_id,
                normalization="none",
                sampling=sampling(seed=sentence.seed, takes=1),
                output_format="pcm",
                timeout_seconds=CALL_SECONDS,
            )
            async with stream:
                async for piece in stream.audio():
                    listener.hear_samples(len(piece.content))
        except UniaudioError as error:
            return listener.answer(error.reason)
        return listener.answer()


class HttpDoor:
    """The gateway's `/v1/audio/speech`: a WAV as it is made."""

    name = "gateway, HTTP"

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def speak(self, sentence: Sentence) -> Answer:
        order = {
            "input": sentence.text,
            "seed": sentence.seed,
            "response_format": "wav",
            "normalization": "none",
            "takes": 1,
        }
        listener, header_bytes = _Listener(), WAV_HEADER_BYTES
        try:
            async with self._client.stream("POST", "/v1/audio/speech", json=order) as answer:
                if answer.status_code != 200:
                    return listener.answer(f"HTTP {answer.status_code}")
                async for content in answer.aiter_raw():
                    skipped = min(header_bytes, len(content))
                    header_bytes -= skipped
                    if len(content) > skipped:
                        listener.hear_samples(len(content) - skipped)
        except httpx.HTTPError as error:
            return listener.answer(type(error).__name__)
        return listener.answer()


@asynccontextmanager
async def known_voice(client: AsyncSpeechClient) -> AsyncGenerator[str, None]:
    """A voice of the registry, two seconds of a speech synthesiser; removed at the end."""
    voice_id = f"benchmark-{secrets.token_hex(4)}"
    agreed = consent("nobody", "measuring", evidence="the voice of a speech synthesiser")
    await client.voices.create(
        voice_id, VOICE, agreed, transcript="where can he count the lost needle", timeout_seconds=CALL_SECONDS
    )
    try:
        yield voice_id
    finally:
        await client.voices.delete(voice_id)


async def sentences(client: AsyncSpeechClient, triton: Door, texts: list[str], count: int) -> list[Sentence]:
    """So many sentences that every door speaks in one and the same way.

    A sentence whose first try the orchestrator did not believe costs the engine more than its sound shows, so
    such seeds are passed over. Raises DeadlineError where too few are left after five tries each.
    """
    found: list[Sentence] = []
    for seed, text in zip(range(5 * count), itertools.cycle(texts)):
        stream = client.synthesize(
            text, normalization="none", sampling=sampling(seed=seed, takes=1), output_format="pcm"
        )
        num_bytes = len(await stream.read())
        report = stream.report
        sentence = Sentence(report.spoken_text, seed)
        alone = await triton.speak(sentence)
        is_first_try = not any(warning.startswith("sentence ") for warning in report.warnings)
        if is_first_try and abs(alone.audio_seconds - num_bytes / SAMPLE_BYTES / SAMPLE_RATE) < 0.01:
            found.append(sentence)
        if len(found) == count:
            return found
    raise DeadlineError(
        f"only {len(found)} of {5 * count} tries were spoken at once, {count} are needed; give texts that fit the "
        "model with --text",
        value=len(found),
        limit=count,
        remedy="give texts that fit the model with --text",
    )
