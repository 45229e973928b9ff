"""Live audio to text. The model reads whole utterances, so live means: again and again, then once more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from services.orchestrator.domain import Floats, LiveOrder, LiveText, Segment
from services.orchestrator.recordings import seconds_of
from services.orchestrator.stages import told_while
from services.orchestrator.transcribe import Hints, Transcriber
from services.orchestrator.utterances import Utterance, UtteranceConfig, UtteranceCutter
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.audio.pcm import PcmReader
from uniaudio.audio.resample import StreamResampler
from uniaudio.errors import DeadlineError, InvalidAudioError, LimitExceededError
from uniaudio.runtime.guard.meter import use_audio
from uniaudio.runtime.pace import StreamPace

MAX_MESSAGE_BYTES = 1 << 20
IDLE_SECONDS = 60.0
"""Longest silence of the wire; a microphone that hears nothing still sends."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """How live audio is read."""

    utterances: UtteranceConfig = field(default_factory=UtteranceConfig)
    interim_seconds: float = 1.0
    """An unfinished utterance is read again when it has grown by so much."""
    max_backlog: int = 3
    """Finished utterances that wait for the model; then the stream is not read any further."""
    idle_seconds: float = IDLE_SECONDS


async def next_within(seconds: float, messages: AsyncIterator[T]) -> T | None:
    """The next message of a live stream, None at its end; DeadlineError when none comes for so long."""
    try:
        async with asyncio.timeout(seconds) as timer:
            return await anext(messages, None)
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise DeadlineError(
            f"nothing came for {seconds:g} s, the limit; send silence, or end the stream",
            value=f"nothing for {seconds:g} s",
            limit=f"{seconds:g} s",
            remedy="send silence, or end the stream",
        ) from error


class LiveTranscriber:
    """Reads streams."""

    def __init__(
        self, transcriber: Transcriber, *, config: LiveConfig | None = None, limits: AudioLimits | None = None
    ) -> None:
        self._transcriber = transcriber
        self._config = config or LiveConfig()
        self._limits = limits or AudioLimits()

    async def transcribe(
        self, order: LiveOrder, chunks: AsyncIterator[bytes]
    ) -> AsyncGenerator[LiveText, None]:
        """Texts while the stream goes on: provisional ones where asked for, a final one per utterance.

        What is shown of an utterance does not shrink while the model reads it again.
        """
        hints = Hints(context_phrases=order.context_phrases, language=order.language)
        utterances = self._config.utterances.within(await self._transcriber.advised_seconds())
        ear = _Ear(order, replace(self._config, utterances=utterances), self._limits)
        listening = asyncio.create_task(ear.listen(chunks))
        try:
            num_shown = 0
            while (heard := await ear.next(order.interim_results)) is not None:
                async with aclosing(self._read(*heard, hints)) as texts:
                    async for text in texts:
                        num_characters = len(text.segment.text)
                        is_wanted = order.interim_results and num_characters > num_shown
                        if text.model is None and not is_wanted:
                            continue
                        num_shown = 0 if text.final else num_characters
                        yield text
            await listening
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _read(
        self, utterance: Utterance, is_over: bool, hints: Hints
    ) -> AsyncGenerator[LiveText, None]:
        """One reading: its text while it is written, then what it came to."""
        start_seconds = utterance.start_seconds
        written = Segment(start_seconds, start_seconds + seconds_of(utterance.waveform), "", "")
        reading = told_while(
            lambda tell: self._transcriber.read_window(utterance.waveform, hints, start_seconds, tell)
        )
        async with aclosing(reading) as items:
            async for item in items:
                if isinstance(item, str):
                    written = replace(written, text=written.text + item)
                    yield LiveText(written, False, None)
                else:
                    segment, model = item
                    yield LiveText(segment, is_over, model)


class _Ear:
    """Listens in a task of its own, so that the stream is taken in while the model reads."""

    def __init__(self, order: LiveOrder, config: LiveConfig, limits: AudioLimits) -> None:
        if not order.format.encoding.is_raw:
            raise InvalidAudioError(
                f"live audio is declared as {order.format.encoding.upper()}; send raw PCM with its sample rate",
                value=order.format.encoding.value,
                limit="pcm_s16le or pcm_f32le",
                remedy="send raw PCM",
            )
        self._reader = PcmReader(
            order.format.encoding, order.format.sample_rate, order.format.num_channels or 1, limits
        )
        self._resampler = StreamResampler(order.format.sample_rate, MODEL_SAMPLE_RATE)
        self._cutter = UtteranceCutter(config.utterances)
        self._config = config
        self._limits = limits
        self._pace = StreamPace()
        self._ended: deque[Utterance] = deque()
        self._num_read = 0
        self._is_over = False
        self._changed = asyncio.Condition()

    async def listen(self, chunks: AsyncIterator[bytes]) -> None:
        """Takes the stream in until it ends. Raises for audio that is not as declared, and for silence of the wire."""
        try:
            while (content := await next_within(self._config.idle_seconds, chunks)) is not None:
                samples = self._samples(content)
                await use_audio(len(samples) / MODEL_SAMPLE_RATE)
                await self._take(samples)
            self._reader.finish()
            await self._take(self._resampler.finish())
            if (last := self._cutter.finish()) is not None:
                self._ended.append(last)
        finally:
            async with self._changed:
                self._is_over = True
                self._changed.notify_all()

    async def next(self, interim: bool) -> tuple[Utterance, bool] | None:
        """What to read next and whether it is final; None when the stream is over."""
        async with self._changed:
            while True:
                if self._ended:
                    self._num_read = 0
                    self._changed.notify_all()
                    return self._ended.popleft(), True
                if self._is_over:
                    return None
                if interim and (current := self._grown()) is not None:
                    return current, False
                await self._changed.wait()

    def _grown(self) -> Utterance | None:
        current = self._cutter.current()
        grown = 0 if current is None else len(current.waveform) - self._num_read
        if current is None or grown < self._config.interim_seconds * MODEL_SAMPLE_RATE:
            return None
        self._num_read = len(current.waveform)
        return current

    async def _take(self, samples: Floats) -> None:
        async with self._changed:
            self._ended.extend(self._cutter.feed(samples))
            self._changed.notify_all()
            while len(self._ended) > self._config.max_backlog:
                await self._changed.wait()

    def _samples(self, content: bytes) -> Floats:
        if len(content) > MAX_MESSAGE_BYTES:
            raise LimitExceededError(
                f"a message holds {len(content)} bytes of audio, the limit is {MAX_MESSAGE_BYTES}; send smaller ones",
                value=len(content),
                limit=MAX_MESSAGE_BYTES,
                remedy="send smaller messages",
            )
        before = self._reader.num_frames
        samples = self._reader.feed(content)
        self._pace.take((self._reader.num_frames - before) / self._reader.sample_rate)
        self._limits.check_frames(self._reader.num_frames, self._reader.sample_rate, 1)
        return self._resampler.feed(samples)
