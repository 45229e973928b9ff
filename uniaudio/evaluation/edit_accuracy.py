"""Was an edit of words made, and was everything else left alone (evaluation 1.2.4 to 1.2.7).

`judge_compat` is the published scorer, quirks and all, for numbers that stand beside published ones;
`judge_clean` is the corrected one, which we steer by. They never share a table.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from uniaudio.evaluation.normalize import Language, scorer_tokens, spoken_tokens
from uniaudio.evaluation.word_errors import AlignedToken, WordErrors, align, count, count_errors

EditTask = Literal["deletion", "insertion", "substitution"]
Tokens = list[str]

_TAG_OF: dict[EditTask, str] = {"deletion": "delete", "insertion": "insert", "substitution": "replace"}
_GUARD_TOKENS = 2
_QUOTED = re.compile(r"delete\b[^'\"‘“「『]*['\"‘“「『](.+?)['\"’”」』]", re.IGNORECASE)
_INDICES = re.compile(r"from index (\d+) to index (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class EditJudgement:
    """`outside` counts the errors where nothing was to change ("no-edit WER")."""

    correct: bool
    outside: WordErrors


def judge_compat(task: EditTask, original: str, target: str, heard: str, language: Language) -> EditJudgement:
    """The published scorer's verdict on what was `heard` of an edit from `original` to `target`.

    Its quirks are kept: punctuation stays on English words, only the first difference counts, positions are
    absolute, any other words pass for a deletion, and a failed deletion has its words taken out.
    """
    old, new = (_diff_tokens(text, language) for text in (original, target))
    reference, hypothesis = _lowered(target), _lowered(heard)
    change = _first_change(old, new)
    if change is None or change[0] != _TAG_OF[task]:
        return EditJudgement(False, count_errors(reference, hypothesis))
    _, old_start, old_end, new_start, new_end = change
    if task == "deletion":
        return _judge_deletion(reference, hypothesis, old_start, old[old_start:old_end])
    wanted = new[new_start:new_end]
    end = old_start + len(wanted)
    if not reference[old_start:end] == wanted == hypothesis[old_start:end]:
        return EditJudgement(False, count_errors(reference, hypothesis))
    kept = _lowered(original) if task == "insertion" else reference[:old_start] + reference[end:]
    return EditJudgement(True, count_errors(kept, hypothesis[:old_start] + hypothesis[end:]))


def judge_compat_basic_deletion(instruction: str, original: str, target: str, heard: str) -> EditJudgement:
    """The published scorer's exception for Mandarin basic deletion, which reads the instruction.

    A recording that ends before the deleted place passes.
    """
    reference, hypothesis = _lowered(target), _lowered(heard.replace(" ", ""))
    span = _instructed_span(instruction, original)
    if span is None:
        return EditJudgement(False, count_errors(reference, hypothesis))
    deleted = list(original[span[0] : span[1]].lower())
    return _judge_deletion(reference, hypothesis, span[0], deleted)


def judge_clean(original: str, target: str, heard: str, language: Language) -> EditJudgement:
    """The corrected verdict: no punctuation, all differences, positions through an alignment.

    New words must all be heard, with nothing beside them. A deletion is correct when none of the deleted
    words is heard where it does not belong, and two tokens on each side of the join are right; words that
    were not deleted count as errors outside the edit. An edit without any difference is never correct.
    """
    old, new, hypothesis = (spoken_tokens(text, language) for text in (original, target, heard))
    region = _changed_region(old, new)
    steps = align(new, hypothesis)
    if region is None:
        return EditJudgement(False, count(steps))
    old_start, old_end, start, end = region
    if start == end:
        deleted = set(old[old_start:old_end])
        stray = any(
            step.hypothesis is not None and step.kind != "equal" and hypothesis[step.hypothesis] in deleted
            for step in steps
        )
        window = _steps_around(steps, max(0, start - _GUARD_TOKENS), min(len(new), end + _GUARD_TOKENS))
        return EditJudgement(not stray and count(window).total == 0, count(steps))
    inside = _steps_around(steps, start, end)
    outside = [step for step in steps if step not in inside]
    return EditJudgement(count(inside).total == 0, count(outside))


def _judge_deletion(reference: Tokens, hypothesis: Tokens, start: int, deleted: Tokens) -> EditJudgement:
    end = start + len(deleted)
    if hypothesis[start:end] != deleted:
        return EditJudgement(True, count_errors(reference, hypothesis))
    return EditJudgement(False, count_errors(reference, hypothesis[:start] + hypothesis[end:]))


def _instructed_span(instruction: str, original: str) -> tuple[int, int] | None:
    """Characters of `original` that a basic deletion names, or None where it names none of them."""
    if quoted := _QUOTED.search(instruction):
        start = original.find(quoted[1])
        return None if start < 0 else (start, start + len(quoted[1]))
    if indices := _INDICES.search(instruction):
        return int(indices[1]) - 1, int(indices[2])
    return None


def _lowered(text: str) -> Tokens:
    return [token.lower() for token in scorer_tokens(text)]


def _diff_tokens(text: str, language: Language) -> Tokens:
    text = text.lower()
    return text.split() if language == "en" else list(text)


def _first_change(old: Tokens, new: Tokens) -> tuple[str, int, int, int, int] | None:
    changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return next((change for change in changes if change[0] != "equal"), None)


def _changed_region(old: Tokens, new: Tokens) -> tuple[int, int, int, int] | None:
    """From the first difference to the last: start and end in `old`, start and end in `new`."""
    changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    changes = [change for change in changes if change[0] != "equal"]
    if not changes:
        return None
    return changes[0][1], changes[-1][2], changes[0][3], changes[-1][4]


def _steps_around(steps: Sequence[AlignedToken], start: int, end: int) -> list[AlignedToken]:
    """The steps of reference tokens `start` to `end`, and what was inserted among and beside them."""
    place = 0  # of the next reference token
    chosen = []
    for step in steps:
        if step.reference is None:
            inside = start <= place <= end
        else:
            inside = start <= step.reference < end
            place = step.reference + 1
        if inside:
            chosen.append(step)
    return chosen
