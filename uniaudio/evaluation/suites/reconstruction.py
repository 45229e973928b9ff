"""Recordings through the tokenizer and back: PESQ-wb, STOI, SI-SDR, the voice (evaluation 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uniaudio.evaluation.bench import Bench, mean_of
from uniaudio.evaluation.recordings import Waveform, find_recordings, read_recording
from uniaudio.evaluation.results import Item, Row, Table, coverage_row, empty_row
from uniaudio.evaluation.signals import Measured, pesq_wideband, remove_delay, si_sdr, stoi

CODEC_METRICS = ("pesq_wb", "stoi", "si_sdr", "delay")


def reconstruction(
    bench: Bench, title: str, recordings: Sequence[tuple[str, Path]]
) -> tuple[Table, list[Item]]:
    """Recordings `(key, path)` through the tokenizer and back."""
    items, copies = [], []
    for key, path in bench.each(title, recordings):
        output = bench.outputs.audio(key, lambda system, path=path: system.reconstruct(path))  # type: ignore[misc]
        reference = read_recording(path)
        items.append(codec_item(bench, key, title, path, output, reference))
        copies.append(codec_item(bench, key, title, path, path, reference))
    metrics = [*CODEC_METRICS, *bench.sims()]
    scored = sum("output" in item.audio for item in items)
    rows = [
        Row(
            label=label,
            values={name: mean_of(found, name) for name in metrics},
            num_scored=present,
            num_expected=len(items),
            reasons=_refusals(found),
        )
        for label, found, present in (("system", items, scored), ("copy", copies, len(copies)))
    ]
    notes = [
        "copy: the recording against itself, the ceiling of every measure",
        "recordings that a measure cannot judge are left out of its mean and counted, never averaged as a code",
    ]
    rows += [
        empty_row("floor", len(items), "a reconstruction has no other true recording"),
        coverage_row(scored, len(items)),
    ]
    return Table(title=title, metrics=metrics, rows=rows, notes=notes), items


def codec_item(
    bench: Bench, key: str, title: str, path: Path, output: Path | None, reference: Waveform
) -> Item:
    """PESQ, STOI, SI-SDR, delay and likeness of one recording."""
    item = Item(id=key, task=title, audio={"source": path}, badness=10.0)
    if output is None:
        item.reasons["all"] = bench.outputs.failures.get(key, "no output")
        item.values = dict.fromkeys(CODEC_METRICS)
        return item
    item.audio["output"] = output
    aligned = remove_delay(reference, read_recording(output))
    measures: dict[str, Measured] = {
        "pesq_wb": pesq_wideband(aligned.reference, aligned.degraded),
        "stoi": stoi(aligned.reference, aligned.degraded),
        "si_sdr": si_sdr(aligned.reference, aligned.degraded),
        "delay": Measured(aligned.delay_seconds),
    }
    item.values = {name: measured.value for name, measured in measures.items()}
    item.values |= bench.likenesses(path, output)
    item.reasons = {name: measured.reason for name, measured in measures.items() if measured.reason}
    item.badness = 5.0 - (item.values["pesq_wb"] or 0.0)
    return item


def _refusals(items: Sequence[Item]) -> dict[str, str]:
    """How many recordings each measure could not judge, with one of the reasons."""
    found: dict[str, list[str]] = {}
    for item in items:
        for name, reason in item.reasons.items():
            found.setdefault(name, []).append(reason)
    return {name: f"{len(reasons)} not judged ({reasons[0]})" for name, reasons in found.items()}


def recordings_of(folder: Path) -> list[tuple[str, Path]]:
    """Keys and paths of all recordings of a folder."""
    return [
        (f"recordings/{path.relative_to(folder).with_suffix('')}", path) for path in find_recordings(folder)
    ]
