"""Whether the words that the model hears are those that should be said."""

from __future__ import annotations

import re
import unicodedata

from uniaudio.editing.checks import Check, Verdict
from uniaudio.editing.plan import shorten
from uniaudio.text.distance import edit_distance

_UNITS = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af]|[^\W\u2e80-\u9fff\uac00-\ud7af]+(?:'[^\W\u2e80-\u9fff]+)*")


def share_wrong(expected: str, heard: str) -> float:
    """Wrong words or ideographs among those that were expected; 0 where none were."""
    wanted = units_of(expected)
    return edit_distance(units_of(heard), wanted) / len(wanted) if wanted else 0.0


def check_words(expected: str, heard: str) -> Check:
    """Whether a result says what it should, by the model's own hearing: share of wrong words or ideographs."""
    name, tolerance, unit = "word_errors", 0.1, "of the words"
    if not units_of(expected):
        detail = "nobody could tell the words that the result should say"
        return Check(
            name=name, verdict=Verdict.SKIPPED, expected=0, tolerance=tolerance, unit=unit, detail=detail
        )
    measured = share_wrong(expected, heard)
    return Check(
        name=name,
        verdict=Verdict.PASSED if measured <= tolerance else Verdict.FAILED,
        expected=0,
        measured=measured,
        tolerance=tolerance,
        unit=unit,
        detail=f"expected {shorten(expected)!r}, the model hears {shorten(heard)!r}",
    )


def contains_words(text: str, words: str) -> bool:
    """Whether a text says some words, whatever their case, spaces and punctuation."""
    return bool(_letters(words)) and _letters(words) in _letters(text)


def begins_with(text: str, heard: str) -> bool:
    """Whether `heard`, whose last word may have been cut, is how `text` begins."""
    wanted, spoken = units_of(text), units_of(heard)
    return 0 < len(spoken) <= len(wanted) and wanted[: len(spoken) - 1] == spoken[:-1]


def units_of(text: str) -> list[str]:
    """Words, and ideographs one by one, without case and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _UNITS.findall(folded.replace("\u2019", "'"))


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())
