"""What the model wrote before it spoke, and the words that this says a recording has before and after an edit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.orchestrator.replies import strip_special
from uniaudio.editing.plan import EditKind, Plan

_MARKER = re.compile(r"<edit>.*?</edit>", re.DOTALL)
_SHOWN = {"<framePatch>": "…"}
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


def _fill(reasoning: str, words: str) -> str:
    filled = strip_special(_MARKER.sub(f" {words} " if words else " ", reasoning))
    return _UNSPACED.sub("", _SPACES.sub(" ", filled)).strip()
