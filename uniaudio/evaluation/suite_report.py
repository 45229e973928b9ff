"""What a suite found, for a person as a report and for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uniaudio.evaluation import plots
from uniaudio.evaluation.normalize import spoken_tokens
from uniaudio.evaluation.recordings import SAMPLE_RATE, read_recording
from uniaudio.evaluation.report import Marked, Report, Tone
from uniaudio.evaluation.results import AimRow, Item, Row, SuiteResult, Table, unit_of
from uniaudio.evaluation.word_errors import align
from uniaudio.whole_file import write_whole

_REFERENCES = ("asked for", "text", "said")
_HEARD = ("heard", "transcript")
_ROLES = ("prompt", "source", "target", "output")
_TONES: dict[bool | None, Tone] = {True: "good", False: "bad", None: "unknown"}
_HASH_CHARACTERS = 16


def write_json(result: SuiteResult, path: Path) -> Path:
    """Every item and every aggregate, with settings and models."""
    write_whole(path, json.dumps(result.as_dict(), ensure_ascii=False, indent=2) + "\n")
    return path


def write_html(result: SuiteResult, path: Path, *, items_per_task: int = 6) -> Path:
    """One file that needs nothing else; the worst `items_per_task` of each task can be seen and heard."""
    report = Report(f"Evaluation: {result.suite}")
    for note in result.notes:
        report.note(note)
    if result.aims:
        _add_aims(report, result.aims)
    _add_circumstances(report, result)
    for title in dict.fromkeys(table.title for table in result.tables):
        report.section(title)
        for table in result.tables:
            if table.title == title:
                _add_table(report, table)
        _add_items(report, [item for item in result.items if item.task == title], items_per_task)
    return report.write(path)


def _add_aims(report: Report, aims: Sequence[AimRow]) -> None:
    rows: list[list[object]] = []
    for aim in aims:
        verdict: list[object] = [Marked(aim.verdict, _TONES[aim.met])]
        if aim.reason:
            verdict.append(Marked(f"({aim.reason})", "note"))
        rows.append([aim.what, aim.aim, aim.value, verdict])
    report.section("Aims").table(["what", "aim", "value", "met"], rows, numbers=[2])


def _add_circumstances(report: Report, result: SuiteResult) -> None:
    report.section("Who was evaluated, and who judged")
    report.facts((name, value) for name, value in result.settings.items() if value is not None)
    if not result.models:
        report.text("No model judged: what needs one has no value.")
        return
    headers = ["role", "numbers go under", "model", "revision", "weights, SHA-256"]
    keys = ("role", "metric", "name", "revision")
    rows = [
        [*(model[key] for key in keys), f"{model['weights_sha256'][:_HASH_CHARACTERS]}…", _floors(model)]
        for model in result.models
    ]
    report.table([*headers, "its own errors on true recordings"], rows)


def _floors(model: Mapping[str, Any]) -> str | None:
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in model["floors"].items()) or None


def _add_table(report: Report, table: Table) -> None:
    headers = ["", *table.metrics, "scored"]
    rows = [[*_cells(row, table.metrics), f"{row.num_scored} of {row.num_expected}"] for row in table.rows]
    caption = Marked(table.scoring, "badge") if table.scoring else ""
    report.table(headers, rows, caption, numbers=range(1, len(headers)))
    for note in (*_reasons(table), *table.notes):
        report.note(note)
    if (picture := plots.bars(table)) is not None:
        report.figure(picture, "The percentages of the table.")


def _cells(row: Row, metrics: Sequence[str]) -> list[str]:
    if row.label == "coverage":
        share = _show("coverage", row.values.get("coverage"))
        return [f"coverage {share}", *[""] * len(metrics)]
    return [row.label, *(_show(metric, row.values.get(metric)) for metric in metrics)]


def _show(metric: str, value: float | None) -> str:
    return unit_of(metric).show(value)


def _reasons(table: Table) -> list[str]:
    """Why values are missing, each reason once, with the rows that it holds for."""
    rows_of: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        for metric, reason in row.reasons.items():
            rows_of.setdefault((metric, reason), []).append(row.label)
    return [
        f"{', '.join(rows)}: {reason}" if metric == "all" else f"{metric} ({', '.join(rows)}): {reason}"
        for (metric, reason), rows in rows_of.items()
    ]


def _add_items(report: Report, items: Sequence[Item], items_per_task: int) -> None:
    """The spread of a metric, the worst items, and a folded line for every item."""
    items = sorted(items, key=lambda item: -item.badness)
    columns = list(dict.fromkeys(name for item in items for name in item.values))
    for name in columns:
        values = [value for item in items if (value := item.values.get(name)) is not None]
        if len(set(values)) > 2:
            report.figure(plots.spread(values, name), "The values of all items.")
            break
    if not items or items_per_task < 1:
        return
    report.text("The worst first:")
    for item in items[:items_per_task]:
        _add_item(report, item)
    rows = [[item.id, *(_show(name, item.values.get(name)) for name in columns)] for item in items]
    report.section(f"All {len(items)} items", folded=True)
    report.table(["item", *columns], rows, numbers=range(1, len(columns) + 1))


def _add_item(report: Report, item: Item) -> None:
    reference = next((item.texts[name] for name in _REFERENCES if name in item.texts), "")
    facts: list[tuple[str, object]] = [
        (name, _marked(name, text, reference)) for name, text in item.texts.items() if text
    ]
    facts += [("missing" if name == "all" else name, reason) for name, reason in item.reasons.items()]
    facts.append(
        ("values", " · ".join(f"{name} {_show(name, value)}" for name, value in item.values.items()))
    )
    report.card(item.id).facts(facts)
    found = {role: read_recording(item.audio[role]) for role in _ROLES if role in item.audio}
    seconds = max((len(waveform) / SAMPLE_RATE for waveform in found.values()), default=1.0)
    for role, waveform in found.items():
        regions = [item.regions[role]] if role in item.regions else []
        picture = plots.spectrogram(waveform, SAMPLE_RATE, regions, seconds=seconds)
        report.audio(waveform, SAMPLE_RATE, f"{role}, {len(waveform) / SAMPLE_RATE:.2f} s", picture=picture)


def _marked(name: str, text: str, reference: str) -> list[object]:
    """The words of what was heard, the wrong ones marked, missing ones in brackets; other texts as they are."""
    if not name.startswith(_HEARD) or not reference or not text.isascii():
        return [text]
    wanted, heard = spoken_tokens(reference, "en"), spoken_tokens(text, "en")
    words: list[object] = []
    for step in align(wanted, heard):
        if step.hypothesis is not None:
            word = heard[step.hypothesis]
            words.append(word if step.kind == "equal" else Marked(word, "wrong"))
        elif step.reference is not None:
            words.append(Marked(f"[{wanted[step.reference]}]", "wrong"))
    return words
