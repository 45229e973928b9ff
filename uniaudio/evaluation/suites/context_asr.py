"""ContextASR-Bench: entity-rich speech, recognised with and without context (evaluation 1.3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.bench import Bench, Context
from uniaudio.evaluation.entities import EntityScore, score_entities
from uniaudio.evaluation.normalize import Language, language_code
from uniaudio.evaluation.results import Item, Row, SuiteResult, Table, Value, coverage_row, empty_row
from uniaudio.evaluation.word_errors import averages

METRICS = ("wer/micro", "ne_wer/micro", "ne_fnr/micro", "wer/macro", "dropped")


@dataclass(frozen=True, kw_only=True)
class ContextRow:
    """One utterance; `answers` are texts that models already gave, by model."""

    id: str
    language: Language
    audio: Path
    text: str
    domains: tuple[str, ...]
    entities: tuple[str, ...]
    answers: dict[str, str]

    def context(self, kind: Context) -> list[str]:
        """What the system is told beforehand."""
        if kind == "none":
            return []
        return [*self.domains, *(self.entities if kind == "fine" else ())]


def evaluate(bench: Bench) -> SuiteResult:
    """Every `*.jsonl` of the folder, by language; InvalidInputError where there is none."""
    files = sorted(bench.data.glob("*.jsonl"))
    if not files:
        raise InvalidInputError(f"{bench.data} holds no *.jsonl: name a folder of ContextASR-Bench")
    given = _given_answers(bench.outputs.folder)
    tables: list[Table] = []
    items: list[Item] = []
    for file in files:
        rows = [
            _row_of(line, bench.data, given) for line in file.read_text(encoding="utf-8").splitlines() if line
        ]
        languages: tuple[Language, ...] = ("en", "zh")
        for language in languages:
            if some := [row for row in rows if row.language == language][: bench.limit]:
                table, found = _evaluate_rows(bench, f"{file.stem}, {language}", language, some)
                tables.append(table)
                items += found
    return SuiteResult(
        suite="contextasr",
        settings=bench.settings() | {"context": bench.context},
        models=bench.models(),
        tables=tables,
        items=items,
        notes=[f"context: {bench.context} (the published table does not say which it used; fine is assumed)"],
    )


def _row_of(line: str, folder: Path, given: dict[str, dict[str, str]]) -> ContextRow:
    values: dict[str, Any] = json.loads(line)
    return ContextRow(
        id=values["uniq_id"],
        language=language_code(values["language"]),
        audio=folder / values["wav_path"],
        text=values["text"],
        domains=tuple(part.strip() for part in values.get("domain_label", "").split(";") if part.strip()),
        entities=tuple(values["entity_list"]),
        answers=_answers(values) | given.get(values["uniq_id"], {}),
    )


def _answers(values: dict[str, Any]) -> dict[str, str]:
    return {model: answer["asr_text"] for model, answer in values.get("asr_info", {}).items()}


def _given_answers(folder: Path) -> dict[str, dict[str, str]]:
    """Answers in the published form of results, by utterance and model."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        for line in file.read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            found.setdefault(values["uniq_id"], {}).update(_answers(values))
    return found


def _evaluate_rows(
    bench: Bench, title: str, language: Language, rows: Sequence[ContextRow]
) -> tuple[Table, list[Item]]:
    models = sorted({model for row in rows for model in row.answers})
    heard: dict[str, list[str | None]] = {model: [row.answers.get(model) for row in rows] for model in models}
    if not models:
        heard["system"] = [_transcript(bench, row) for row in bench.each(title, rows)]
    items: list[Item] = []
    found: list[Row] = []
    for label, texts in heard.items():
        row, some = _score(label, language, title, rows, texts)
        found.append(row)
        items += some
    found += [
        empty_row("copy", len(rows), "nothing to copy in a transcription"),
        *_floors(bench, language, title, rows),
        coverage_row(found[0].num_scored, len(rows)),
    ]
    notes = ["items whose entities are not all in the reference are dropped, as published, and counted",
             "an utterance without an answer counts as nothing heard"]  # fmt: skip
    return Table(title=title, metrics=METRICS, rows=found, notes=notes), items


def _transcript(bench: Bench, row: ContextRow) -> str | None:
    context = row.context(bench.context)
    return bench.outputs.text(row.id, lambda system: system.transcribe(row.audio, context))


def _floors(bench: Bench, language: Language, title: str, rows: Sequence[ContextRow]) -> list[Row]:
    """Other recognisers on the same recordings, where both are there."""
    if not all(row.audio.is_file() for row in rows):
        return [empty_row("floor", len(rows), "the recordings are not there")]
    found = [
        _score(f"floor ({suffix})", language, title, rows,
               [bench.heard(row.audio, language)[suffix] for row in rows])[0]
        for suffix in bench.suffixes(language)
    ]  # fmt: skip
    return found or [empty_row("floor", len(rows), bench.absent(language)["wer"])]


def _score(
    label: str, language: Language, title: str, rows: Sequence[ContextRow], texts: Sequence[str | None]
) -> tuple[Row, list[Item]]:
    scores: list[EntityScore] = []
    items: list[Item] = []
    for row, heard in zip(rows, texts, strict=True):
        score = score_entities(row.text, heard or "", row.entities, language)
        if score is None:
            continue
        scores.append(score)
        rate = score.words.rate if score.words.num_reference else 0.0
        items.append(
            Item(
                id=f"{row.id} ({label})",
                task=title,
                texts={"said": row.text, "transcript": heard or "(none)", "missed": ", ".join(score.missed)},
                values={"wer": rate, "ne_fnr": _share(score.num_missed, score.num_entities)},
                audio={"source": row.audio} if row.audio.is_file() else {},
                badness=rate + score.num_missed,
            )
        )
    words = averages([score.words for score in scores])
    values: dict[str, Value] = {
        "wer/micro": words.micro,
        "wer/macro": words.macro,
        "ne_wer/micro": averages([score.entities for score in scores]).micro,
        "ne_fnr/micro": _share(sum(s.num_missed for s in scores), sum(s.num_entities for s in scores)),
        "dropped": float(len(rows) - len(scores)),
    }
    present = sum(text is not None for text in texts)
    return Row(label=label, values=values, num_scored=present, num_expected=len(rows)), items


def _share(part: int, whole: int) -> Value:
    return part / whole if whole else None
