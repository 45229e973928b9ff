"""Subtitles keep their cues whole, whatever the words are, and tell times beyond an hour."""

from __future__ import annotations

from services.gateway.subtitles import srt, vtt
from uniaudio.v1 import audio_pb2, speech_pb2


def segment(start: float, end: float, text: str) -> speech_pb2.TranscriptSegment:
    times = audio_pb2.TimeRange(start_seconds=start, end_seconds=end)
    return speech_pb2.TranscriptSegment(time_range=times, text=text)


def test_cues_are_numbered_and_timed() -> None:
    told = srt([segment(0.0, 1.5, "one"), segment(3725.25, 3726.0, "two")])
    assert told == ("1\n00:00:00,000 --> 00:00:01,500\none\n\n2\n01:02:05,250 --> 01:02:06,000\ntwo\n\n")


def test_words_cannot_end_a_cue_or_look_like_a_time() -> None:
    told = vtt([segment(0.0, 1.0, "a\n\nb --> c")])
    assert told == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na b -> c\n\n"


def test_a_time_is_rounded_as_a_whole() -> None:
    assert srt([segment(59.9996, 60.0, "x")]).startswith("1\n00:01:00,000 --> ")
