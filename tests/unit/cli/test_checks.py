"""Checks are told in words: what was measured, what was asked, whether that agrees."""

from __future__ import annotations

import pytest

from uniaudio.cli.commands.edit import check_text
from uniaudio.v1 import edits_pb2

PASSED, FAILED, SKIPPED = (
    edits_pb2.CHECK_VERDICT_PASSED,
    edits_pb2.CHECK_VERDICT_FAILED,
    edits_pb2.CHECK_VERDICT_SKIPPED,
)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (
            edits_pb2.EditCheck(
                name="duration_ratio", verdict=PASSED, expected=1 / 0.7, measured=1.4286, tolerance=7.71e-6
            ),
            "length 1.429 ×, asked 1.429 ×: passed",
        ),
        (
            edits_pb2.EditCheck(name="pitch_shift", verdict=PASSED, measured=-0.001, tolerance=0.5),
            "pitch 0.00 semitones, asked 0.00 ± 0.50 semitones: passed",
        ),
        (
            edits_pb2.EditCheck(
                name="volume_change", verdict=FAILED, expected=-6, measured=-4, tolerance=0.1
            ),
            "volume -4.00 dB, asked -6.00 ± 0.10 dB: failed",
        ),
        (
            edits_pb2.EditCheck(name="word_errors", verdict=FAILED, measured=0.5, tolerance=0.1),
            "wrong words 50 %, asked at most 10 %: failed",
        ),
        (
            edits_pb2.EditCheck(name="pitch_shift", verdict=SKIPPED, detail="too short to measure a pitch"),
            "pitch: skipped, too short to measure a pitch",
        ),
        (
            edits_pb2.EditCheck(name="newer", verdict=PASSED, expected=1, measured=1, unit="s"),
            "newer 1.000 s, asked 1.000 s: passed",
        ),
    ],
)
def test_a_check_is_one_readable_line(check: edits_pb2.EditCheck, text: str) -> None:
    assert check_text(check) == text
