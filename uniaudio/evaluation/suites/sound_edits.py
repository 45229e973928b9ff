"""The synthetic suite on edits of sound: speed, pitch, volume, and denoising."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uniaudio.evaluation.bench import Bench, mean_of
from uniaudio.evaluation.recordings import SAMPLE_RATE, Waveform, read_recording
from uniaudio.evaluation.results import Item, Row, Table, Value, coverage_row
from uniaudio.evaluation.signals import (
    amplitude_error,
    duration_error,
    mean_amplitude,
    pesq_wideband,
    pitch_error,
    remove_delay,
    stoi,
)
from uniaudio.evaluation.suites.synthetic_data import EditRow
from uniaudio.evaluation.suites.triplets import Answers, edited, exact_oracle, item_of
from uniaudio.evaluation.word_scores import whole_rate, whole_row

Measure = Callable[[Waveform, Waveform, float], dict[str, Value]]


def _measure_speed(source: Waveform, output: Waveform, factor: float) -> dict[str, Value]:
    before, after = len(source) / SAMPLE_RATE, len(output) / SAMPLE_RATE
    return {"rde": duration_error(before, after, factor), "ade": abs(after - before / factor)}


def _measure_volume(source: Waveform, output: Waveform, factor: float) -> dict[str, Value]:
    absolute = abs(mean_amplitude(output) - factor * mean_amplitude(source))
    return {"rae": amplitude_error(source, output, factor).value, "aae": absolute}


def _measure_pitch(source: Waveform, output: Waveform, semitones: float) -> dict[str, Value]:
    return {"pitch_error": pitch_error(source, output, semitones).value}


MEASURES: Mapping[str, tuple[tuple[str, ...], Measure]] = {
    "speed": (("rde", "ade"), _measure_speed),
    "volume": (("rae", "aae"), _measure_volume),
    "pitch": (("pitch_error",), _measure_pitch),
}
"""What is measured of an acoustic edit, beside its words and voice."""


def sound_edits(bench: Bench, edit_type: str, rows: Sequence[EditRow]) -> tuple[Table, list[Item]]:
    """Speed, pitch or volume: how near the value, and whether words and voice stayed."""
    rows = [row for row in rows if row.value is not None][: bench.limit]
    names, measure = MEASURES[edit_type]
    outputs = edited(bench, edit_type, rows)
    roles = (
        Answers("system", outputs),
        Answers("copy", [row.source for row in rows]),
        Answers("floor", [row.target for row in rows]),
        Answers("oracle (signal processing)", [exact_oracle(bench.out, row) for row in rows]),
    )

    def scored(row: EditRow, path: Path | None) -> Item:
        item = _heard_item(bench, row, path)
        if path is not None:
            assert row.value is not None
            item.values |= measure(read_recording(row.source), read_recording(path), row.value)
            item.badness = item.values[names[0]] or 0.0
        return item

    return _table(bench, edit_type, rows, roles, names, scored)


def denoising(bench: Bench, rows: Sequence[EditRow]) -> tuple[Table, list[Item]]:
    """Noise taken away: PESQ against the clean recording, and its gain over the noisy one."""
    rows = list(rows)[: bench.limit]
    roles = (
        Answers("system", edited(bench, "denoise", rows)),
        Answers("copy", [row.source for row in rows]),
        Answers("floor", [row.target for row in rows]),
    )
    names = ["pesq_wb", "pesq_gain", "stoi"]
    if bench.hearing.judges.noise is not None:
        names += ["dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"]

    def scored(row: EditRow, path: Path | None) -> Item:
        item = _heard_item(bench, row, path)
        if path is not None:
            item.values |= _cleaned(row, path) | bench.hearing.cleanness(path)
            item.badness = -(item.values["pesq_gain"] or 0.0)
        return item

    levels = sorted({row.snr_db for row in rows if row.snr_db is not None})
    title = "denoise" + (f" at {levels[0]:g} dB" if len(levels) == 1 else "")
    return _table(bench, title, rows, roles, names, scored)


def _cleaned(row: EditRow, path: Path) -> dict[str, Value]:
    clean = read_recording(row.target)
    before = remove_delay(clean, read_recording(row.source))
    after = remove_delay(clean, read_recording(path))
    qualities = [pesq_wideband(pair.reference, pair.degraded).value for pair in (before, after)]
    gain = None if qualities[0] is None or qualities[1] is None else qualities[1] - qualities[0]
    heard = stoi(after.reference, after.degraded)
    return {"pesq_gain": gain, "pesq_wb": qualities[1], "stoi": heard.value}


def _heard_item(bench: Bench, row: EditRow, path: Path | None) -> Item:
    item = item_of(bench, row.edit_type, row, path)
    for suffix, words in bench.heard(path, row.language).items():
        if words is not None:
            item.texts[f"heard ({suffix})"] = words
        item.values[f"wer_{suffix}"] = whole_rate(row.target_text, words or "", row.language)
    return item


def _table(
    bench: Bench,
    title: str,
    rows: Sequence[EditRow],
    roles: Sequence[Answers],
    names: Sequence[str],
    scored: Callable[[EditRow, Path | None], Item],
) -> tuple[Table, list[Item]]:
    """The table of all roles, and the system's items."""
    by_role = [
        [scored(row, path) for row, path in zip(rows, answers.paths, strict=True)] for answers in roles
    ]
    for item in by_role[0]:
        item.task = title
    found = [
        _row(bench, answers.role, items, names, rows) for answers, items in zip(roles, by_role, strict=True)
    ]
    found.append(coverage_row(found[0].num_scored, len(rows)))
    words = [f"wer_{suffix}/{kind}" for suffix in bench.suffixes("en") for kind in ("macro", "micro")]
    table = Table(
        title=title,
        metrics=[*names, *(words or ["wer"]), *bench.sims()],
        rows=found,
        scoring="clean",
        notes=[
            "copy: the source unedited; floor: the target",
            "a missing output has no measure, and all words wrong",
        ],
    )
    return table, by_role[0]


def _row(
    bench: Bench, role: str, items: Sequence[Item], names: Sequence[str], rows: Sequence[EditRow]
) -> Row:
    values: dict[str, Value] = {name: mean_of(items, name) for name in (*names, *bench.sims())}
    present = [item for item in items if "output" in item.audio]
    if not bench.suffixes("en"):
        values["wer"] = None
    for suffix in bench.suffixes("en"):
        pairs = [
            (row.target_text, item.texts.get(f"heard ({suffix})"))
            for row, item in zip(rows, items, strict=True)
        ]
        values |= whole_row(role, pairs, "en", suffix, clean=True).values
    return Row(
        label=role,
        values=values,
        num_scored=len(present),
        num_expected=len(items),
        reasons=bench.absent("en"),
    )
