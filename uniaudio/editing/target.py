"""Turns the place that a plan names into positions in a transcript, and tells what the text becomes.

Positions count units: one ideograph or kana each, one word each of anything else; punctuation and spaces
do not count. A quoted text that occurs more than once means its first occurrence, and `note` says so.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from dataclasses import dataclass

from uniaudio.editing import compose
from uniaudio.editing.mark import EditMark
from uniaudio.editing.plan import EditKind, InsertPlace, Plan, TextTarget, shorten
from uniaudio.errors import InvalidInputError

# Ideographs and kana stand alone; letters, digits and the marks inside words make one unit.
_IDEOGRAPH = (
    "\u2e80-\u2fdf\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNIT = re.compile(rf"[{_IDEOGRAPH}]|(?:(?![{_IDEOGRAPH}])\w)+(?:['’.\-](?:(?![{_IDEOGRAPH}])\w)+)*")
_HAN = re.compile(f"[{_IDEOGRAPH}]")
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Where an edit applies in a transcript, and the text it leads to.

    `source_span` are the characters of the transcript that go, `edited_span` those of `edited_text` that
    are new; an insertion has an empty source span, a deletion an empty edited span. `plan` is the plan
    with positions from 1, its command by index, as the model follows best.
    """

    plan: Plan
    transcript: str
    source_span: Span
    edited_text: str
    edited_span: Span
    note: str = ""

    @property
    def source_fraction(self) -> tuple[float, float]:
        """Where the edit lies in what is spoken, from 0 to 1, by units of the transcript."""
        return _fraction(self.transcript, self.source_span)

    @property
    def edited_fraction(self) -> tuple[float, float]:
        """Where the new words lie in what is spoken afterwards, from 0 to 1."""
        return _fraction(self.edited_text, self.edited_span)

    @property
    def mark(self) -> EditMark:
        """The place as the model writes it before it speaks: apart from words, joined to ideographs."""
        start, end = self.source_span
        before, after = self.transcript[:start].rstrip(" "), self.transcript[end:].lstrip(" ")
        return EditMark(
            before=before + _gap(before, "a"),
            after=_gap("a", after) + after,
            adds_speech=self.plan.kind is not EditKind.DELETE,
        )


def resolve_target(plan: Plan, transcript: str) -> Resolution:
    """Finds the place of an edit of words in `transcript`.

    Raises InvalidInputError when the plan is not an edit of words, when the text is not there
    (EDIT_TARGET_NOT_FOUND), when positions lie outside (EDIT_TARGET_OUT_OF_RANGE), or when a deletion
    would leave nothing (EDIT_LEAVES_NOTHING).
    """
    if not plan.kind.changes_words:
        raise InvalidInputError(
            f"an edit of kind {plan.kind.name.lower()} has no place in the words: only insert, delete and"
            " substitute do", reason="EDIT_TARGET_INVALID", value=plan.kind.name.lower(),
            limit="insert, delete or substitute", remedy="ask for one of them",
        )  # fmt: skip
    units = [match.span() for match in _UNIT.finditer(transcript)]
    first, last, note = _find_units(plan, transcript, units)
    if plan.kind is EditKind.INSERT:
        return _insert(plan, transcript, units, first, last, note)
    return _replace(plan, transcript, units, first, last, note)


def count_units(text: str) -> int:
    """How many words, or characters where they are ideographs, `text` has."""
    return sum(1 for _ in _UNIT.finditer(text))


def units_of(text: str) -> list[str]:
    """The words of `text`, or characters where they are ideographs, as they are compared: without case and width."""
    return [_fold(match.group()) for match in _UNIT.finditer(text)]


def has_ideographs(text: str) -> bool:
    """Whether some of it is written in ideographs or kana, between which there are no spaces."""
    return bool(_HAN.search(text))


def _find_units(plan: Plan, transcript: str, units: list[Span]) -> tuple[int, int, str]:
    """First and last unit (from 0, inclusive) of the target, and a note about it."""
    if plan.place is InsertPlace.BEGINNING:
        return 0, 0, ""
    if plan.place is InsertPlace.END:
        return len(units) - 1, len(units) - 1, ""
    if plan.target.text:
        return _find_text(plan.target.text, transcript, units)
    return (*_find_positions(plan.target, len(units)), "")


def _find_positions(target: TextTarget, num_units: int) -> tuple[int, int]:
    first, last = (
        index - 1 if index > 0 else num_units + index for index in (target.start_index, target.end_index)
    )
    if not 0 <= first <= last < num_units:
        raise InvalidInputError(
            f"{compose.describe_target(target)} cannot be found: the transcript has {num_units} words or"
            f" characters; give positions between 1 and {num_units}",
            reason="EDIT_TARGET_OUT_OF_RANGE",
            value=f"{target.start_index} to {target.end_index}", limit=num_units,
            remedy=f"give positions between 1 and {num_units}",
        )  # fmt: skip
    return first, last


def _find_text(text: str, transcript: str, units: list[Span]) -> tuple[int, int, str]:
    """By whole units first, ignoring case, width and punctuation; then inside a unit."""
    wanted = units_of(text)
    spoken = [_fold(transcript[start:end]) for start, end in units]
    if wanted:
        places = [
            at for at in range(len(spoken) - len(wanted) + 1) if spoken[at : at + len(wanted)] == wanted
        ]
        if places:
            note = ""
            if len(places) > 1:
                note = (
                    f"'{shorten(text)}' occurs {len(places)} times, the first is meant: give positions to"
                    " choose another"
                )
            return places[0], places[0] + len(wanted) - 1, note
    raise InvalidInputError(
        f"'{shorten(text)}' is not in the transcript '{shorten(transcript, 200)}': quote words that are"
        " spoken, or give positions",
        reason="EDIT_TARGET_NOT_FOUND", value=shorten(text), limit="words of the transcript",
        remedy="quote words that are spoken, or give positions",
    )  # fmt: skip


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


def _insert(plan: Plan, transcript: str, units: list[Span], first: int, last: int, note: str) -> Resolution:
    before = plan.place in (InsertPlace.BEFORE, InsertPlace.BEGINNING)
    if not units:
        at, lead, tail = len(transcript), "", ""
    elif before:
        at = units[first][0]
        lead, tail = "", _gap(plan.new_text, transcript[at:])
    else:
        at = units[last][1]
        lead, tail = _gap(transcript[:at], plan.new_text), ""
    edited = transcript[:at] + lead + plan.new_text + tail + transcript[at:]
    start = at + len(lead)
    resolved = plan
    if units:
        index = (first if before else last) + 1
        # An index is followed better than "at the end", whose last syllable tends to be cut.
        resolved = compose.insert(
            plan.instruction, plan.new_text, InsertPlace.BEFORE if before else InsertPlace.AFTER,
            TextTarget(start_index=index, end_index=index),
        )  # fmt: skip
        resolved = _as_asked(plan, resolved, index, index)
    return Resolution(
        plan=resolved, transcript=transcript, source_span=(at, at), edited_text=edited,
        edited_span=(start, start + len(plan.new_text)), note=note,
    )  # fmt: skip


def _replace(plan: Plan, transcript: str, units: list[Span], first: int, last: int, note: str) -> Resolution:
    start, end = units[first][0], units[last][1]
    target = TextTarget(start_index=first + 1, end_index=last + 1)
    if plan.kind is EditKind.DELETE:
        if last - first + 1 == len(units):
            raise InvalidInputError(
                f"deleting {compose.describe_target(plan.target)} would leave nothing to say: keep at least one"
                " word", reason="EDIT_LEAVES_NOTHING", value=compose.describe_target(plan.target),
                limit="all but one word", remedy="keep at least one word",
            )  # fmt: skip
        resolved = compose.delete(plan.instruction, target)
        edited, at = _join_without(transcript, start, end)
        span = (at, at)
    else:
        resolved = compose.substitute(plan.instruction, target, plan.new_text)
        lead, tail = _gap(transcript[:start], plan.new_text), _gap(plan.new_text, transcript[end:])
        edited = transcript[:start] + lead + plan.new_text + tail + transcript[end:]
        span = (start + len(lead), start + len(lead) + len(plan.new_text))
    return Resolution(
        plan=_as_asked(plan, resolved, first + 1, last + 1), transcript=transcript, source_span=(start, end),
        edited_text=edited, edited_span=span, note=note,
    )  # fmt: skip


def _as_asked(plan: Plan, resolved: Plan, start: int, end: int) -> Plan:
    """The resolved plan with the engine and the words of the target that were asked for.

    Where the target was quoted the model keeps the quoted command; positions are told beside it.
    """
    command = plan.model_instruction if plan.target.text else resolved.model_instruction
    target = plan.target if plan.target.text else TextTarget(start_index=start, end_index=end)
    return dataclasses.replace(
        plan, target=target, model_instruction=command if plan.model_instruction else "",
    )  # fmt: skip


def _gap(left: str, right: str) -> str:
    """The space that separates two texts, none beside ideographs or where one is already."""
    if not left or not right or left[-1].isspace() or right[0].isspace():
        return ""
    if _HAN.match(left[-1]) or _HAN.match(right[0]) or not (right[0].isalnum() or right[0] in "'’\"“‘("):
        return ""
    return " " if left[-1].isalnum() or unicodedata.category(left[-1]).startswith("P") else ""


def _join_without(transcript: str, start: int, end: int) -> tuple[str, int]:
    """The transcript without a span, with one space where there were two, and where the seam is."""
    left, right = transcript[:start], transcript[end:]
    if left.endswith(" ") and (not right or not right[0].isalnum()):
        left = left.rstrip(" ")
    if left.endswith((",", "，", "、", ";", "；")) and right.startswith(tuple(",，、;；.。!！?？")):
        left = left[:-1]
    if not left.strip():
        left, right = "", right.lstrip(" ,，、;；:：")
    return left + right, len(left)


def _fraction(text: str, span: Span) -> tuple[float, float]:
    units = [match.span() for match in _UNIT.finditer(text)]
    weights = [_weight(text[start:end]) for start, end in units]
    total = sum(weights) or 1.0
    before = sum(weight for (_, end), weight in zip(units, weights, strict=True) if end <= span[0])
    inside = sum(
        weight
        for (start, end), weight in zip(units, weights, strict=True)
        if start >= span[0] and end <= span[1]
    )
    return before / total, (before + inside) / total


def _weight(unit: str) -> float:
    """About how long a unit takes to say: a Latin letter counts a third of a syllable, an ideograph one."""
    return 1.0 if _HAN.match(unit) else max(1.0, len(unit) / 3)
