"""Ming-Freeform-Audio-Edit: edits of words in both scorings, edits of sound (evaluation 1.2)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.bench import Bench
from uniaudio.evaluation.edit_accuracy import EditTask
from uniaudio.evaluation.normalize import Language, spoken_tokens
from uniaudio.evaluation.recordings import read_recording, write_recording
from uniaudio.evaluation.results import (
    Item,
    Row,
    Scoring,
    SuiteResult,
    Table,
    Value,
    coverage_row,
    empty_row,
    mean,
)
from uniaudio.evaluation.suites.freeform_data import (
    WORD_FOLDERS,
    FreeformRow,
    FreeformSet,
    read_sets,
    read_word_times,
)
from uniaudio.evaluation.suites.freeform_sound import denoised, sound_set
from uniaudio.evaluation.suites.synthetic_data import Word
from uniaudio.evaluation.suites.triplets import Answers, spliced
from uniaudio.evaluation.word_scores import WordCase, judge, whole_row, word_metrics, word_row

_NOTES = {
    "compat": "the published scorer with its quirks; items without an output are left out; full and basic overlap",
    "clean": "the corrected scorer; items without an output count as wrong; not comparable with published numbers",
}


def evaluate(bench: Bench) -> SuiteResult:
    """Every meta file that is there; InvalidInputError where there is none."""
    sets = list(read_sets(bench.data))
    if not sets:
        raise InvalidInputError(
            f"{bench.data} holds no meta/*/*.csv: name the root of Ming-Freeform-Audio-Edit"
        )
    times = read_word_times(bench.data)
    tables: list[Table] = []
    items: list[Item] = []
    for found in sets:
        chosen = replace(found, rows=found.rows[: bench.limit])
        some_tables, some = (
            _word_set(bench, chosen, times) if found.folder in WORD_FOLDERS else sound_set(bench, chosen)
        )
        tables += some_tables
        items += some
    if (noise_table := denoised(bench)) is not None:
        tables.append(noise_table)
    skipped = {found.title: found.num_skipped for found in sets if found.num_skipped}
    return SuiteResult(
        suite="freeform-edit",
        settings=bench.settings(),
        models=bench.models(),
        tables=tables,
        items=items,
        notes=[
            f"{title}: {count} lines with fewer than 5 fields skipped" for title, count in skipped.items()
        ],
    )


def _word_set(
    bench: Bench, found: FreeformSet, times: dict[str, tuple[Word, ...]]
) -> tuple[list[Table], list[Item]]:
    rows, task = found.rows, WORD_FOLDERS[found.folder][1]
    outputs = [_output(bench, row) for row in bench.each(found.title, rows)]
    roles = (
        Answers("system", outputs),
        Answers("copy", [row.source for row in rows]),
        Answers("splice oracle", [_oracle(bench, row, found.language, times) for row in rows]),
    )
    tables = [
        _table(bench, found, task, roles, suffix, scoring)
        for scoring in _SCORINGS
        for suffix in _suffixes(bench, found.language)
    ]
    items = [_item(bench, found, row, output) for row, output in zip(rows, outputs, strict=True)]
    for suffix in bench.suffixes(found.language):
        cases = _cases(bench, found, task, outputs, suffix)
        for item, case in zip(items, cases, strict=True):
            verdicts = {scoring: judge(case, scoring) for scoring in _SCORINGS}
            item.values |= {f"acc_{suffix} {name}": float(v.correct) for name, v in verdicts.items()}
            if case.heard is not None:
                item.texts[f"heard ({suffix})"] = case.heard
            outside = verdicts["clean"].outside
            item.badness = (not verdicts["clean"].correct) + (outside.rate if outside.num_reference else 0.0)
    return tables, items


_SCORINGS: tuple[Scoring, ...] = ("compat", "clean")


def _suffixes(bench: Bench, language: Language) -> list[str | None]:
    return [*bench.suffixes(language)] or [None]


def _output(bench: Bench, row: FreeformRow) -> Path | None:
    return bench.outputs.audio(row.output_key, lambda system: system.edit(row.source, row.instruction))


def _table(
    bench: Bench,
    found: FreeformSet,
    task: EditTask,
    roles: Sequence[Answers],
    suffix: str | None,
    scoring: Scoring,
) -> Table:
    rows = [_row(bench, found, task, answers, suffix, scoring) for answers in roles]
    rows.insert(2, _floor(bench, found, suffix, scoring))
    rows.append(coverage_row(sum(map(bool, roles[0].paths)), len(found.rows)))
    metrics = ["wer"] if suffix is None else word_metrics(suffix, scoring)
    notes = [_NOTES[scoring], "floor: the source against its own text; its WER is of the recogniser alone"]
    return Table(
        title=found.title, metrics=[*metrics, *bench.sims()], rows=rows, scoring=scoring, notes=notes
    )


def _row(
    bench: Bench, found: FreeformSet, task: EditTask, answers: Answers, suffix: str | None, scoring: Scoring
) -> Row:
    if answers.role == "splice oracle" and not any(answers.paths):
        return empty_row(answers.role, len(found.rows), "no word times, or new words that no recording holds")
    if suffix is None:
        present = sum(map(bool, answers.paths))
        row = Row(label=answers.role, values={"wer": None}, num_scored=present, num_expected=len(found.rows))
    else:
        cases = _cases(bench, found, task, answers.paths, suffix)
        if answers.role == "splice oracle":
            cases = [case for case in cases if case.heard is not None]
        row = word_row(answers.role, cases, suffix, scoring)
    likenesses = [
        bench.likenesses(row.source, path) for row, path in zip(found.rows, answers.paths, strict=True)
    ]
    sims: dict[str, Value] = {name: mean([some[name] for some in likenesses]) for name in bench.sims()}
    return replace(row, values={**row.values, **sims}, reasons=bench.absent(found.language))


def _floor(bench: Bench, found: FreeformSet, suffix: str | None, scoring: Scoring) -> Row:
    if suffix is None:
        return empty_row("floor", len(found.rows), bench.absent(found.language)["wer"])
    pairs = [(row.original, bench.heard(row.source, found.language)[suffix]) for row in found.rows]
    row = whole_row("floor", pairs, found.language, suffix, clean=scoring == "clean")
    return replace(row, reasons={"acc": "nothing is edited in a floor"})


def _cases(
    bench: Bench, found: FreeformSet, task: EditTask, paths: Sequence[Path | None], suffix: str
) -> list[WordCase]:
    return [
        WordCase(
            task=task,
            original=row.original,
            target=row.target,
            heard=bench.heard(path, found.language)[suffix],
            language=found.language,
            instruction=row.instruction,
            is_basic=found.version == "basic",
        )
        for row, path in zip(found.rows, paths, strict=True)
    ]


def _item(bench: Bench, found: FreeformSet, row: FreeformRow, output: Path | None) -> Item:
    item = Item(
        id=row.name,
        task=found.title,
        texts={"instruction": row.instruction, "source": row.original, "asked for": row.target},
        values=dict(bench.likenesses(row.source, output)),
        audio={"source": row.source},
        badness=5.0,
    )
    if output is not None:
        item.audio["output"] = output
    else:
        item.reasons["all"] = bench.outputs.failures.get(row.output_key, "no output")
    return item


def _oracle(
    bench: Bench, row: FreeformRow, language: Language, times: dict[str, tuple[Word, ...]]
) -> Path | None:
    """The source with the deleted words cut out at their times; None for edits that need new words."""
    words = times.get(str(row.source.relative_to(bench.data)))
    if words is None:
        return None
    new = [(word, 0.0, 0.0) for word in spoken_tokens(row.target, language)]
    old = [("".join(spoken_tokens(word, language)), start, end) for word, start, end in words]
    changes = difflib.SequenceMatcher(None, [w for w, _, _ in old], [w for w, _, _ in new], autojunk=False)
    if any(tag in ("insert", "replace") for tag, *_ in changes.get_opcodes()):
        return None
    path = bench.out / "oracle" / f"{row.output_key}.wav"
    if not path.is_file():
        source = read_recording(row.source)
        write_recording(path, spliced(source, old, source, new))
    return path
