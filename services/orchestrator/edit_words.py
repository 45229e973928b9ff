"""What the model wrote before it spoke, and which words a recording has before and after an edit."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from services.orchestrator.replies import strip_special
from uniaudio.editing.checks import Check, Verdict
from uniaudio.editing.plan import EditKind, Plan, shorten

_MARKER = re.compile(r"<edit>.*?</edit>", re.DOTALL)
_SHOWN = {"<framePatch>": "…"}
_UNITS = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af]|[^\W\u2e80-\u9fff\uac00-\ud7af]+(?:'[^\W\u2e80-\u9fff]+)*")
_SPACES = re.compile(r"\s+")
_UNSPACED = re.compile(r"(?<=[\u2e80-\u9fff]) | (?=[\u2e80-\u9fff])")


@dataclass(frozen=True)
class Words:
    """What a recording says before and after an edit; empty where nobody can tell."""

    before: str = ""
    after: str = ""


def shown_reasoning(piece: str) -> str:
    """A piece of the model's reasoning for people: the text, and its edit marks."""
    for token, sign in _SHOWN.items():
        piece = piece.replace(token, sign)
    parts = re.split(r"(</?edit>)", piece)
    return "".join(part if part in ("<edit>", "</edit>") else strip_special(part) for part in parts)


def has_edit_mark(reasoning: str) -> bool:
    """Whether the model marked a place in the words."""
    return _MARKER.search(reasoning) is not None


def words_of_reasoning(plan: Plan, reasoning: str) -> Words:
    """The words that the model's reasoning tells: the transcript with a mark where the edit goes."""
    if not has_edit_mark(reasoning):
        return Words()
    after = _fill(reasoning, plan.new_text)
    if plan.kind is EditKind.INSERT:
        return Words(_fill(reasoning, ""), after)
    if plan.target.text:
        return Words(_fill(reasoning, plan.target.text), after)
    return Words("", after)


def contains_words(text: str, words: str) -> bool:
    """Whether a text says some words, whatever their case, spaces and punctuation."""
    return bool(_letters(words)) and _letters(words) in _letters(text)


def begins_with(text: str, heard: str) -> bool:
    """Whether `heard`, whose last word may have been cut, is how `text` begins."""
    wanted, spoken = units_of(text), units_of(heard)
    return 0 < len(spoken) <= len(wanted) and wanted[: len(spoken) - 1] == spoken[:-1]


def check_words(expected: str, heard: str) -> Check:
    """Whether a result says what it should, by the model's own hearing: share of wrong words or ideographs."""
    name, tolerance, unit = "word_errors", 0.1, "of the words"
    wanted, spoken = units_of(expected), units_of(heard)
    if not wanted:
        detail = "nobody could tell the words that the result should say"
        return Check(
            name=name, verdict=Verdict.SKIPPED, expected=0, tolerance=tolerance, unit=unit, detail=detail
        )
    measured = _distance(wanted, spoken) / len(wanted)
    return Check(
        name=name,
        verdict=Verdict.PASSED if measured <= tolerance else Verdict.FAILED,
        expected=0,
        measured=measured,
        tolerance=tolerance,
        unit=unit,
        detail=f"expected {shorten(expected)!r}, the model hears {shorten(heard)!r}",
    )


def units_of(text: str) -> list[str]:
    """Words, and ideographs one by one, without case and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _UNITS.findall(folded.replace("\u2019", "'"))


def _distance(wanted: list[str], spoken: list[str]) -> int:
    """Insertions, deletions and substitutions between the two."""
    row = list(range(len(spoken) + 1))
    for line, want in enumerate(wanted, 1):
        previous, row[0] = row[0], line
        for column, said in enumerate(spoken, 1):
            best = min(row[column] + 1, row[column - 1] + 1, previous + (want != said))
            previous, row[column] = row[column], best
    return row[-1]


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def _fill(reasoning: str, words: str) -> str:
    filled = strip_special(_MARKER.sub(f" {words} " if words else " ", reasoning))
    return _UNSPACED.sub("", _SPACES.sub(" ", filled)).strip()
