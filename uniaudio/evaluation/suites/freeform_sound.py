"""Ming-Freeform-Audio-Edit on sound: speed, pitch, volume, dialect, emotion, and denoising."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uniaudio.evaluation.bench import Bench, mean_of
from uniaudio.evaluation.judges import NO_NOISE_JUDGE
from uniaudio.evaluation.recordings import find_recordings, read_recording
from uniaudio.evaluation.results import Item, Row, Table, Value, coverage_row, empty_row, mean
from uniaudio.evaluation.suites.freeform_data import FreeformRow, FreeformSet
from uniaudio.evaluation.suites.sound_edits import MEASURES
from uniaudio.evaluation.word_scores import whole_rate, whole_row

_NO_JUDGE = "accuracy needs a hosted audio model as judge, and none is plugged in"
_DENOISED = "denoise/dns_no_reverb/tts"


def sound_set(bench: Bench, found: FreeformSet) -> tuple[list[Table], list[Item]]:
    """One acoustic task in one language: how near the value, words, voice."""
    names = MEASURES[found.task][0] if found.task in MEASURES else ("acc",)
    outputs = [
        bench.outputs.audio(
            row.output_key,
            lambda system, row=row: system.edit(row.source, row.instruction),  # type: ignore[misc]
        )
        for row in bench.each(found.title, found.rows)
    ]
    items = _items(bench, found, outputs)
    copies = _items(bench, found, [row.source for row in found.rows])
    rows = [
        _row(bench, "system", found, items, names),
        _row(bench, "copy", found, copies, names),
        _floor(bench, found, copies),
        empty_row("splice oracle", len(found.rows), "nothing to splice in an edit of sound"),
        coverage_row(sum(map(bool, outputs)), len(found.rows)),
    ]
    words = [f"wer_{suffix}/macro" for suffix in bench.suffixes(found.language)] or ["wer"]
    notes = ["WER is the published macro average; items without an output are left out"]
    if found.task == "pitch":
        notes.append("the published benchmark has no measure of pitch; the error of the median F0 is ours")
    table = Table(
        title=found.title, metrics=[*names, *words, *bench.sims()], rows=rows, scoring="compat", notes=notes
    )
    return [table], items


def _items(bench: Bench, found: FreeformSet, paths: Sequence[Path | None]) -> list[Item]:
    return [_item(bench, found, row, path) for row, path in zip(found.rows, paths, strict=True)]


def _item(bench: Bench, found: FreeformSet, row: FreeformRow, path: Path | None) -> Item:
    item = Item(
        id=row.name,
        task=found.title,
        texts={"instruction": row.instruction, "source": row.original},
        values=dict(bench.likenesses(row.source, path)),
        audio={"source": row.source},
        badness=5.0,
    )
    if path is None:
        item.reasons["all"] = bench.outputs.failures.get(row.output_key, "no output")
        return item
    item.audio["output"] = path
    for suffix, heard in bench.heard(path, found.language).items():
        item.texts[f"heard ({suffix})"] = heard or ""
        item.values[f"wer_{suffix}"] = whole_rate(_wanted(row), heard or "", found.language)
    if found.task not in MEASURES:
        item.reasons["acc"] = _NO_JUDGE
        return item
    if row.value is None:
        item.reasons["all"] = f"no number in the instruction {row.instruction!r}"
        return item
    measured = MEASURES[found.task][1](read_recording(row.source), read_recording(path), row.value)
    item.values |= measured
    item.badness = next(iter(measured.values())) or 0.0
    return item


def _wanted(row: FreeformRow) -> str:
    return row.target or row.original


def _row(bench: Bench, role: str, found: FreeformSet, items: Sequence[Item], names: Sequence[str]) -> Row:
    values: dict[str, Value] = {name: mean_of(items, name) for name in (*names, *bench.sims())}
    for suffix in bench.suffixes(found.language):
        pairs = [
            (_wanted(row), item.texts.get(f"heard ({suffix})"))
            for row, item in zip(found.rows, items, strict=True)
        ]
        rates = whole_row(role, pairs, found.language, suffix, clean=False).values
        values[f"wer_{suffix}/macro"] = rates[f"wer_{suffix}/macro"]
    reasons = bench.absent(found.language)
    if found.task not in MEASURES:
        reasons["acc"] = _NO_JUDGE
    present = sum("output" in item.audio for item in items)
    return Row(label=role, values=values, num_scored=present, num_expected=len(items), reasons=reasons)


def _floor(bench: Bench, found: FreeformSet, copies: Sequence[Item]) -> Row:
    """The sources against their own texts."""
    values: dict[str, Value] = {}
    for suffix in bench.suffixes(found.language):
        pairs: list[tuple[str, str | None]] = [
            (row.original, item.texts[f"heard ({suffix})"])
            for row, item in zip(found.rows, copies, strict=True)
        ]
        rates = whole_row("floor", pairs, found.language, suffix, clean=False).values
        values[f"wer_{suffix}/macro"] = rates[f"wer_{suffix}/macro"]
    count = len(found.rows)
    if not values:
        return empty_row("floor", count, bench.absent(found.language)["wer"])
    return Row(label="floor", values=values, num_scored=count, num_expected=count)


def denoised(bench: Bench) -> Table | None:
    """DNSMOS of denoised recordings, where outputs of the DNS-Challenge set are there."""
    paths = list(find_recordings(bench.outputs.folder / _DENOISED))[: bench.limit]
    if not paths:
        return None
    names = ["dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"]
    scores = [bench.hearing.cleanness(path) for path in paths]
    values: dict[str, Value] = {name: mean([score.get(name) for score in scores]) for name in names}
    reasons = {} if bench.hearing.judges.noise else {"dnsmos": NO_NOISE_JUDGE}
    count = len(paths)
    missing = "the set of the noisy recordings is not part of the benchmark's files"
    rows = [
        Row(label="system", values=values, num_scored=count, num_expected=count, reasons=reasons),
        empty_row("copy", count, missing),
        empty_row("floor", count, missing),
        coverage_row(count, count),
    ]
    return Table(title="denoise (DNS-Challenge, no reverb)", metrics=names, rows=rows)
