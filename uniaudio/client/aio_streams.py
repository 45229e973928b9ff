"""Streaming answers of the asyncio client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uniaudio.client.audio import AudioPiece, OutputFormat, samples_of, whole_file
from uniaudio.client.channel import OpenCall, ended
from uniaudio.client.events import EditEvent, EditPlan, EditReport, EditState, SpeechState, SynthesizeReport


async def messages_of(call: OpenCall) -> AsyncGenerator[Any, None]:
    """The call's messages, errors mapped; giving up the iterator cancels the call."""
    try:
        with ended(call.span, call.address):
            async for message in call.answers:
                yield message
    finally:
        call.cancel()


class AsyncAudioStream(ABC):
    """Audio while it is made. Leaving the loop early, `close`, or the end of an `async with` block cancels the rest."""

    def __init__(self, call: OpenCall, output_format: OutputFormat) -> None:
        self._call = call
        self._format = output_format

    @abstractmethod
    def audio(self) -> AsyncIterator[AudioPiece]:
        """Its pieces of audio alone."""

    async def read(self) -> bytes:
        """All remaining bytes: one file, or raw samples."""
        return whole_file(b"".join([piece.content async for piece in self.audio()]), self._format)

    async def waveform(self) -> NDArray[np.float32]:
        """All remaining samples, float32 `(num_samples,)`; for the raw formats."""
        return samples_of(await self.read(), self._format)

    def close(self) -> None:
        """Cancels what has not come yet."""
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncSpeechStream(AsyncAudioStream):
    """Speech while it is made: iterate over its pieces, or take the whole with `read` or `waveform`."""

    def __init__(self, call: OpenCall, output_format: OutputFormat) -> None:
        super().__init__(call, output_format)
        self._state = SpeechState(output_format)

    async def __aiter__(self) -> AsyncIterator[AudioPiece]:
        async for message in messages_of(self._call):
            piece = self._state.take(message)
            if piece is not None:
                yield piece

    def audio(self) -> AsyncIterator[AudioPiece]:
        """Its pieces, as iterating over it gives them."""
        return aiter(self)

    @property
    def report(self) -> SynthesizeReport:
        """How it went, once the stream is read to its end."""
        return self._state.report


class AsyncEditStream(AsyncAudioStream):
    """An edit while it is made: iterate over its events, or over `audio()`, or take the whole with `read`.

    `plan`, `reasoning_text` and `report` fill while it is read.
    """

    def __init__(self, call: OpenCall, output_format: OutputFormat) -> None:
        super().__init__(call, output_format)
        self._state = EditState(output_format)

    async def __aiter__(self) -> AsyncIterator[EditEvent]:
        async for message in messages_of(self._call):
            event = self._state.take(message)
            if event is not None:
                yield event

    async def audio(self) -> AsyncIterator[AudioPiece]:
        """Its pieces of audio alone."""
        async for event in self:
            if isinstance(event, AudioPiece):
                yield event

    @property
    def plan(self) -> EditPlan:
        """What is being done, after the first event."""
        return self._state.plan

    @property
    def reasoning_text(self) -> str:
        """What the model wrote so far before it speaks."""
        return self._state.reasoning_text

    @property
    def report(self) -> EditReport:
        """What was done, once the stream is read to its end."""
        return self._state.report
