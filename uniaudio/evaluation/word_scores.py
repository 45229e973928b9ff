"""Rows of a table about edits of words, in either scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uniaudio.evaluation.edit_accuracy import (
    EditJudgement,
    EditTask,
    judge_clean,
    judge_compat,
    judge_compat_basic_deletion,
)
from uniaudio.evaluation.normalize import Language, spoken_tokens
from uniaudio.evaluation.results import Row, Scoring, Value
from uniaudio.evaluation.word_errors import WordErrors, averages, count_errors


@dataclass(frozen=True, kw_only=True)
class WordCase:
    """One edit and what was heard of it; None where there is no output."""

    task: EditTask
    original: str
    target: str
    heard: str | None
    language: Language
    instruction: str = ""
    is_basic: bool = False


def whole_errors(reference: str, heard: str, language: Language) -> WordErrors:
    """Errors over a whole utterance, as seed-tts-eval counts them."""
    return count_errors(spoken_tokens(reference, language), spoken_tokens(heard, language))


def whole_rate(reference: str, heard: str, language: Language) -> Value:
    """The rate of those errors; None for a reference without words."""
    errors = whole_errors(reference, heard, language)
    return errors.rate if errors.num_reference else None


def judge(case: WordCase, scoring: Scoring) -> EditJudgement:
    """The verdict on a case; nothing heard counts as silence."""
    heard = case.heard or ""
    if scoring == "clean":
        return judge_clean(case.original, case.target, heard, case.language)
    if case.task == "deletion" and case.is_basic and case.language == "zh":
        return judge_compat_basic_deletion(case.instruction, case.original, case.target, heard)
    return judge_compat(case.task, case.original, case.target, heard, case.language)


def word_metrics(suffix: str, scoring: Scoring) -> list[str]:
    """The columns of such a table, judged by the recogniser of that suffix."""
    if scoring == "compat":
        return [f"wer_{suffix}/macro", f"acc_{suffix}", f"outside_wer_{suffix}/micro"]
    pairs = [f"{name}_{suffix}/{kind}" for name in ("wer", "outside_wer") for kind in ("macro", "micro")]
    return [f"acc_{suffix}", *pairs]


def word_row(label: str, cases: Sequence[WordCase], suffix: str, scoring: Scoring) -> Row:
    """The row of one system. Without an output, compat leaves an item out and clean counts it as wrong."""
    present = [case for case in cases if case.heard is not None]
    scored = present if scoring == "compat" else list(cases)
    judgements = [judge(case, scoring) for case in scored]
    whole = averages([whole_errors(case.target, case.heard or "", case.language) for case in scored])
    outside = averages([judgement.outside for judgement in judgements])
    every: dict[str, Value] = {
        f"acc_{suffix}": sum(j.correct for j in judgements) / len(judgements) if judgements else None,
        f"wer_{suffix}/macro": whole.macro,
        f"wer_{suffix}/micro": whole.micro,
        f"outside_wer_{suffix}/macro": outside.macro,
        f"outside_wer_{suffix}/micro": outside.micro,
    }
    return Row(
        label=label,
        values={name: every[name] for name in word_metrics(suffix, scoring)},
        num_scored=len(present),
        num_expected=len(cases),
    )


def whole_row(
    label: str, pairs: Sequence[tuple[str, str | None]], language: Language, suffix: str, *, clean: bool
) -> Row:
    """Whole-utterance errors of `(reference, heard)` pairs; clean counts a missing one as all wrong."""
    present = [(text, heard) for text, heard in pairs if heard is not None]
    scored = [(text, heard or "") for text, heard in (pairs if clean else present)]
    rates = averages([whole_errors(text, heard, language) for text, heard in scored])
    return Row(
        label=label,
        values={f"wer_{suffix}/macro": rates.macro, f"wer_{suffix}/micro": rates.micro},
        num_scored=len(present),
        num_expected=len(pairs),
    )
