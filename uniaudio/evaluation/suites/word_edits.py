"""The synthetic suite on edits of words: deletion, insertion, substitution, cleanly scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from uniaudio.evaluation.bench import Bench
from uniaudio.evaluation.edit_accuracy import EditTask
from uniaudio.evaluation.results import Item, Row, Table, Value, coverage_row, empty_row, mean
from uniaudio.evaluation.suites.synthetic_data import EditRow
from uniaudio.evaluation.suites.triplets import Answers, edited, item_of, splice_oracle
from uniaudio.evaluation.word_scores import WordCase, judge, word_metrics, word_row

WORD_TASKS: Mapping[str, EditTask] = {
    "delete": "deletion", "insert": "insertion", "substitute": "substitution",
}  # fmt: skip
NOTE = "copy: the source unedited; floor: the target; splice oracle: cut and paste at the true word times"


def word_edits(bench: Bench, edit_type: str, rows: Sequence[EditRow]) -> tuple[list[Table], list[Item]]:
    """All edits of one type: a table per recogniser, with the rows copy, floor, oracle and coverage."""
    rows, task = list(rows)[: bench.limit], WORD_TASKS[edit_type]
    outputs = edited(bench, edit_type, rows)
    roles = (
        Answers("system", outputs),
        Answers("copy", [row.source for row in rows]),
        Answers("floor", [row.target for row in rows]),
        Answers("splice oracle", [splice_oracle(bench.out, row) for row in rows]),
    )
    items = [item_of(bench, task, row, output) for row, output in zip(rows, outputs, strict=True)]
    tables = []
    suffixes: list[str | None] = [*bench.suffixes("en")]
    for suffix in suffixes or [None]:
        _note_verdicts(items, _cases(bench, task, rows, outputs, suffix), suffix)
        metrics = ["wer"] if suffix is None else word_metrics(suffix, "clean")
        found = [_row(bench, task, rows, answers, suffix) for answers in roles]
        found.append(coverage_row(sum(map(bool, outputs)), len(rows)))
        tables.append(
            Table(title=task, metrics=[*metrics, *bench.sims()], rows=found, scoring="clean", notes=[NOTE])
        )
    return tables, items


def _row(bench: Bench, task: EditTask, rows: Sequence[EditRow], answers: Answers, suffix: str | None) -> Row:
    if answers.role == "splice oracle" and not any(answers.paths):
        return empty_row(answers.role, len(rows), "no word times")
    sims = _mean_sims(bench, rows, answers.paths)
    if suffix is None:
        present = sum(map(bool, answers.paths))
        row = Row(label=answers.role, values={"wer": None}, num_scored=present, num_expected=len(rows))
    else:
        row = word_row(answers.role, _cases(bench, task, rows, answers.paths, suffix), suffix, "clean")
    return replace(row, values={**row.values, **sims}, reasons=bench.absent("en"))


def _cases(
    bench: Bench, task: EditTask, rows: Sequence[EditRow], paths: Sequence[Path | None], suffix: str | None
) -> list[WordCase]:
    if suffix is None:
        return []
    return [
        WordCase(
            task=task,
            original=row.source_text,
            target=row.target_text,
            heard=bench.heard(path, row.language).get(suffix),
            language=row.language,
            instruction=row.instruction,
        )
        for row, path in zip(rows, paths, strict=True)
    ]


def _mean_sims(bench: Bench, rows: Sequence[EditRow], paths: Sequence[Path | None]) -> dict[str, Value]:
    found = [bench.likenesses(row.source, path) for row, path in zip(rows, paths, strict=True)]
    return {name: mean([sims[name] for sims in found]) for name in bench.sims()}


def _note_verdicts(items: Sequence[Item], cases: Sequence[WordCase], suffix: str | None) -> None:
    for item, case in zip(items, cases, strict=False):
        verdict = judge(case, "clean")
        outside = verdict.outside.rate if verdict.outside.num_reference else 0.0
        item.values |= {f"acc_{suffix}": float(verdict.correct), f"outside_wer_{suffix}": outside}
        if case.heard is not None:
            item.texts[f"heard ({suffix})"] = case.heard
        item.badness = (not verdict.correct) + outside + (case.heard is None)
