"""Typed events of streaming answers, and what both clients collect while reading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from uniaudio.client.audio import AudioPiece, OutputFormat, piece_of
from uniaudio.errors import ModelOutputError
from uniaudio.v1 import edits_pb2, speech_pb2

T = TypeVar("T")

EditPlan = edits_pb2.EditPlan
EditReport = edits_pb2.EditReport
SynthesizeReport = speech_pb2.SynthesizeReport


@dataclass(frozen=True)
class ReasoningText:
    """New characters of what the model writes before it speaks."""

    text: str


@dataclass(frozen=True)
class Progress:
    """How far an edit is: what is being done, and a fraction from 0 to 1."""

    stage: str
    fraction: float


EditEvent: TypeAlias = EditPlan | ReasoningText | Progress | AudioPiece | EditReport
"""What an edit yields, in this order: plan, then progress and reasoning, audio, report."""


class EditState:
    """What an edit said so far, beside its audio."""

    def __init__(self, output_format: OutputFormat) -> None:
        self._output_format = output_format
        self._plan: EditPlan | None = None
        self._report: EditReport | None = None
        self.reasoning_text = ""

    def take(self, message: speech_pb2.EditResponse) -> EditEvent | None:
        """The message as an event; None for a kind that this version does not know."""
        match message.WhichOneof("message"):
            case "plan":
                self._plan = message.plan
                return message.plan
            case "reasoning_text":
                self.reasoning_text += message.reasoning_text
                return ReasoningText(message.reasoning_text)
            case "progress":
                return Progress(message.progress.stage, message.progress.fraction)
            case "audio":
                return piece_of(message.audio, self._output_format)
            case "report":
                self._report = message.report
                return message.report
        return None

    @property
    def plan(self) -> EditPlan:
        """What is being done; ModelOutputError before the first event."""
        return _known(self._plan, "plan")

    @property
    def report(self) -> EditReport:
        """What was done; ModelOutputError before the end of the stream."""
        return _known(self._report, "report")


class SpeechState:
    """What a synthesis said so far, beside its audio."""

    def __init__(self, output_format: OutputFormat) -> None:
        self._output_format = output_format
        self._report: SynthesizeReport | None = None

    def take(self, message: speech_pb2.SynthesizeResponse) -> AudioPiece | None:
        """The message's audio; None for the report, which is kept."""
        match message.WhichOneof("message"):
            case "audio":
                return piece_of(message.audio, self._output_format)
            case "report":
                self._report = message.report
        return None

    @property
    def report(self) -> SynthesizeReport:
        """How it went; ModelOutputError before the end of the stream."""
        return _known(self._report, "report")


def _known(value: T | None, name: str) -> T:
    if value is None:
        raise ModelOutputError(
            f"the {name} has not come: read the stream to its end first; if it has ended, the server sent none",
            value=f"no {name}",
            limit=f"one {name} a stream",
            remedy="read the stream to its end first",
        )
    return value
