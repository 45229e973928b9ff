"""Recording to text: windows cut at pauses, encoded and read, a few at a time, told while they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from services.orchestrator.clients import (
    Finished,
    LanguageModel,
    TextMade,
    Tokenizer,
    Understand,
    stopped_early,
)
from services.orchestrator.domain import (
    FinishReason,
    Floats,
    Model,
    Sampling,
    Segment,
    TextDelta,
    TranscribeOrder,
    Transcript,
)
from services.orchestrator.ear import Ear
from services.orchestrator.growing_reply import GrowingReply
from services.orchestrator.growing_text import GrowingText
from services.orchestrator.readings import likeliest, most_alike, ways_of
from services.orchestrator.recordings import in_thread, read_recording, seconds_of
from services.orchestrator.replies import MAX_LANGUAGE_CHARACTERS, join_texts, parse_reply
from services.orchestrator.stages import Tell, all_of, told_while
from services.orchestrator.windows import cut
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.errors import LimitExceededError, QueueFullError
from uniaudio.runtime.telemetry import span

_MAX_FRAMES_MENDED = 600  # 12 s: what the ear compares grows with frames times letters
_WAYS_HEARD = 3  # by the letter ear: those at the recording's own speed
_FURTHER_READINGS_AT_ONCE = 8  # of all callers, so that the model's queue stays open for first ones
MAX_CONTEXT_PHRASES = 100
MAX_CONTEXT_CHARACTERS = 100
_DETERMINISTIC = Sampling(seed=0)


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What a caller knows about the words; checked on construction."""

    context_phrases: tuple[str, ...] = ()
    language: str = ""

    def __post_init__(self) -> None:
        if len(self.context_phrases) > MAX_CONTEXT_PHRASES:
            raise _too_many("context phrases", len(self.context_phrases), MAX_CONTEXT_PHRASES)
        for phrase in self.context_phrases:
            if len(phrase) > MAX_CONTEXT_CHARACTERS:
                raise _too_many("characters in a context phrase", len(phrase), MAX_CONTEXT_CHARACTERS)
        if len(self.language) > MAX_LANGUAGE_CHARACTERS:
            raise _too_many("characters in the language", len(self.language), MAX_LANGUAGE_CHARACTERS)


def _too_many(what: str, count: int, limit: int) -> LimitExceededError:
    return LimitExceededError(
        f"{count} {what} were sent, the limit is {limit}; send fewer",
        value=count,
        limit=limit,
        remedy="send fewer",
    )


@dataclass(frozen=True)
class _Reading:
    """How a reading ended, and what was read."""

    finished: Finished
    latents: Floats


def _tell_nobody(text: str) -> None:
    pass


class Transcriber:
    """Reads recordings. `window_seconds` is what the model takes at once."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        language_model: LanguageModel,
        *,
        limits: AudioLimits | None = None,
        window_seconds: float = 80.0,
        windows_at_once: int = 2,
    ) -> None:
        self._tokenizer = tokenizer
        self._language_model = language_model
        self._ear = Ear(tokenizer)
        self._limits = limits or AudioLimits()
        self._window_seconds = window_seconds
        self._windows_at_once = windows_at_once
        self._further = asyncio.Semaphore(_FURTHER_READINGS_AT_ONCE)

    async def transcribe(self, order: TranscribeOrder, tell: Tell = _tell_nobody) -> Transcript:
        """The words of a recording sent as bytes, told in order while they are written."""
        hints = Hints(context_phrases=order.context_phrases, language=order.language)
        waveform = await read_recording(order.audio, self._limits)
        return await self.read(waveform, hints, tell, thorough=tell is _tell_nobody)

    async def follow(self, order: TranscribeOrder) -> AsyncGenerator[TextDelta | Transcript, None]:
        """The same: pieces of the text, and the whole at last."""
        async with aclosing(told_while(lambda tell: self.transcribe(order, tell))) as items:
            async for item in items:
                yield TextDelta(item) if isinstance(item, str) else item

    async def read(
        self, waveform: Floats, hints: Hints, tell: Tell = _tell_nobody, *, thorough: bool = False
    ) -> Transcript:
        """The words of a 16 kHz waveform `(num_samples,)` of any length, told in order while they are written.

        Where it is `thorough`, and nobody waits for each word, it is read as often as the model advises.
        """
        model = await self._language_model.model()
        num_readings = model.readings if thorough else 1
        spans = cut(waveform, self._window_seconds, model.window_seconds)
        places = asyncio.Semaphore(self._windows_at_once)
        growing = GrowingText(tell)

        async def read_span(index: int, start: int, end: int) -> tuple[Segment, Model]:
            async with places:
                start_seconds = start / MODEL_SAMPLE_RATE
                read = await self.read_window(
                    waveform[start:end],
                    hints,
                    start_seconds,
                    lambda text: growing.feed(index, text),
                    num_readings=num_readings,
                )
            growing.end(index)
            return read

        read = await all_of(*(read_span(index, *span) for index, span in enumerate(spans)))
        segments = tuple(segment for segment, _ in read)
        return Transcript(
            text=join_texts([segment.text for segment in segments]),
            language=next((segment.language for segment in segments if segment.language), ""),
            segments=segments,
            audio_seconds=seconds_of(waveform),
            model=read[0][1],
        )

    async def advised_seconds(self) -> float:
        """How long a stretch the model reads well; 0 for any that fits."""
        return (await self._language_model.model()).window_seconds

    async def read_window(
        self,
        waveform: Floats,
        hints: Hints,
        start_seconds: float = 0.0,
        tell: Tell = _tell_nobody,
        *,
        num_readings: int = 1,
    ) -> tuple[Segment, Model]:
        """The words of one window, which begins at `start_seconds` of its recording.

        Told while they are written by the first reading; where there are more the likeliest one is given.
        """
        seconds = seconds_of(waveform)
        task = Understand(context_phrases=hints.context_phrases, language=hints.language)
        ways = ways_of(waveform, num_readings)
        with span("transcribe_window", start_seconds=start_seconds, end_seconds=start_seconds + seconds):
            begun = [
                self._read_once(task, ways[0], tell),
                *(self._read_if_free(task, way) for way in ways[1:]),
            ]
            readings = [reading for reading in await all_of(*begun) if reading is not None]
            replies = [parse_reply(reading.finished.text, hints.language) for reading in readings]
            chosen, text = await self._likeliest([reply.text for reply in replies], readings)
        finished = readings[chosen].finished
        truncated = finished.reason is FinishReason.LENGTH
        segment = Segment(start_seconds, start_seconds + seconds, text, replies[chosen].language, truncated)
        return segment, finished.model

    async def _likeliest(self, texts: Sequence[str], readings: Sequence[_Reading]) -> tuple[int, str]:
        """Which of several readings, that came to these texts, is to be believed, and what was said."""
        chosen = most_alike(texts)
        if len(set(texts)) == 1:
            return chosen, texts[chosen]
        heard = [reading.latents for reading in readings[:_WAYS_HEARD]]
        surprise = await self._ear.surprise(heard, texts) if len(heard[0]) <= _MAX_FRAMES_MENDED else None
        if surprise is None:
            return chosen, texts[chosen]
        return chosen, await in_thread(lambda _: likeliest(texts, surprise))

    async def _read_if_free(self, task: Understand, waveform: Floats) -> _Reading | None:
        """A further reading, which callers who wait to be read once go before."""
        async with self._further:
            try:
                return await self._read_once(task, waveform, _tell_nobody)
            except QueueFullError:
                return None

    async def _read_once(self, task: Understand, waveform: Floats, tell: Tell) -> _Reading:
        latents = await self._tokenizer.encode(waveform)
        growing = GrowingReply(task.language)
        async with aclosing(self._language_model.generate(task, latents, _DETERMINISTIC)) as events:
            async for event in events:
                if isinstance(event, TextMade) and (new := growing.feed(event.text)):
                    tell(new)
                elif isinstance(event, Finished):
                    if rest := growing.finish(event.text):
                        tell(rest)
                    return _Reading(event, latents)
        raise stopped_early()
