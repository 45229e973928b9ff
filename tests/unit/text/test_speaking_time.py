"""What a text likely takes: sentences at the pace of a calm reader, in either language."""

from __future__ import annotations

import pytest

from uniaudio.text.speaking_time import count_sounds, speaking_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("The weather today is fine, so we went for a walk along the river.", 4.0),
        ("今天天气很好，我们去河边散步了。", 3.4),
        ("  ", 0.0),
    ],
    ids=["English", "Chinese", "nothing"],
)
def test_sentences_take_as_long_as_a_calm_reader_does(text: str, seconds: float) -> None:
    assert speaking_seconds(text) == pytest.approx(seconds, rel=0.15)


def test_digits_and_ideographs_are_syllables_and_spaces_nothing() -> None:
    assert count_sounds("ab 12 你好 안녕") == (6, 2)
