"""Streaming answers of the synchronous client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uniaudio.client.audio import AudioPiece, OutputFormat, samples_of, whole_file
from uniaudio.client.channel import OpenCall, ended
from uniaudio.client.events import EditEvent, EditPlan, EditReport, EditState, SpeechState, SynthesizeReport


def messages_of(call: OpenCall) -> Iterator[Any]:
    """The call's messages, errors mapped; giving up the iterator cancels the call."""
    try:
        with ended(call.span, call.address):
            yield from call.answers
    finally:
        call.cancel()


class AudioStream(ABC):
    """Audio while it is made. Leaving the loop early, `close`, or the end of a `with` block cancels the rest."""

    def __init__(self, call: OpenCall, output_format: OutputFormat) -> None:
        self._call = call
        self._format = output_format

    @abstractmethod
    def audio(self) -> Iterator[AudioPiece]:
        """Its pieces of audio alone."""

    def read(self) -> bytes:
        """All remaining bytes: one file, or raw samples."""
        return whole_file(b"".join(piece.content for piece in self.audio()), self._format)

    def waveform(self) -> NDArray[np.float32]:
        """All remaining samples, float32 `(num_samples,)`; for the raw formats."""
        return samples_of(self.read(), self._format)

    def close(self) -> None:
        """Cancels what has not come yet."""
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SpeechStream(AudioStream):
    """Speech while it is made: iterate over its pieces, or take the whole with `read` or `waveform`."""

    def __init__(self, call: OpenCall, output_format: OutputFormat) -> None:
        super().__init__(call, output_format)
        self._state = SpeechState(output_format)

    def __iter__(self) -> Iterator[AudioPiece]:
        for message in messages_of(self._call):
            piece = self._state.take(message)
            if piece is not None:
                yield piece

    def audio(self) -> Iterator[AudioPiece]:
        """Its pieces, as iterating over it gives them."""
        return iter(self)

    @property
    def report(self) -> SynthesizeReport:
        """How it went, once the stream is read to its end."""
        return self._state.report


class EditStream(AudioStream):
    """An edit while it is made: iterate over its events, or over `audio()`, or take the whole with `read`.

    `plan`, `reasoning_text` and `report` fill while it is read.
    """

    def __init__(self, call: OpenCall, output_format: OutputFormat) -> None:
        super().__init__(call, output_format)
        self._state = EditState(output_format)

    def __iter__(self) -> Iterator[EditEvent]:
        for message in messages_of(self._call):
            event = self._state.take(message)
            if event is not None:
                yield event

    def audio(self) -> Iterator[AudioPiece]:
        """Its pieces of audio alone."""
        for event in self:
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
