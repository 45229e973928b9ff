"""How long a text takes to speak, by its letters alone: good enough to count what waits, not to cut audio."""

from __future__ import annotations

# Of a calm reader: four and a half syllables of Chinese a second, 150 words of English a minute.
_SECONDS_PER_SYLLABLE = 0.22
_SECONDS_PER_LETTER = 0.08


def count_sounds(text: str) -> tuple[int, int]:
    """Characters that are one or more syllables each (ideographs, kana, hangul, digits), and other letters."""
    num_syllables = sum(1 for char in text if _takes_a_syllable(char))
    return num_syllables, sum(1 for char in text if not char.isspace()) - num_syllables


def speaking_seconds(text: str) -> float:
    """Seconds that the text likely takes."""
    num_syllables, num_letters = count_sounds(text)
    return _SECONDS_PER_SYLLABLE * num_syllables + _SECONDS_PER_LETTER * num_letters


def _takes_a_syllable(char: str) -> bool:
    return (
        char.isdigit()
        or "\u3040" <= char <= "\u30ff"
        or "\u3400" <= char <= "\u9fff"
        or ("\uac00" <= char <= "\ud7a3")
    )
