"""Segments of a transcript as subtitles: SRT and WebVTT."""

from __future__ import annotations

from collections.abc import Sequence

from uniaudio.v1 import speech_pb2


def srt(segments: Sequence[speech_pb2.TranscriptSegment]) -> str:
    """The segments as SubRip."""
    return "".join(
        f"{number}\n{_span(segment, ',')}\n{_text(segment)}\n\n" for number, segment in enumerate(segments, 1)
    )


def vtt(segments: Sequence[speech_pb2.TranscriptSegment]) -> str:
    """The segments as WebVTT."""
    return "WEBVTT\n\n" + "".join(f"{_span(segment, '.')}\n{_text(segment)}\n\n" for segment in segments)


def _span(segment: speech_pb2.TranscriptSegment, mark: str) -> str:
    start, end = segment.time_range.start_seconds, segment.time_range.end_seconds
    return f"{_clock(start, mark)} --> {_clock(end, mark)}"


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def _text(segment: speech_pb2.TranscriptSegment) -> str:
    """The words on one line: an empty line would end the cue, an arrow would look like a time."""
    return " ".join(segment.text.split()).replace("-->", "->")
