"""What all edits of the synthetic suite share: outputs, items, and the oracles."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uniaudio.editing.exact import apply_exact
from uniaudio.editing.plan import EditKind
from uniaudio.evaluation.bench import Bench
from uniaudio.evaluation.recordings import (
    SAMPLE_RATE,
    Part,
    Waveform,
    read_recording,
    splice,
    write_recording,
)
from uniaudio.evaluation.results import Item
from uniaudio.evaluation.suites.synthetic_data import EditRow, Word

_EXACT = {"speed": EditKind.SPEED, "pitch": EditKind.PITCH, "volume": EditKind.VOLUME}


@dataclass(frozen=True)
class Answers:
    """The recordings of one role (system, copy, floor, oracle), one per row; None where there is none."""

    role: str
    paths: Sequence[Path | None]


def edited(bench: Bench, edit_type: str, rows: Sequence[EditRow]) -> list[Path | None]:
    """The system's outputs, made where they are missing."""
    return [
        bench.outputs.audio(
            f"{edit_type}/{row.id}",
            lambda system, row=row: system.edit(row.source, row.instruction),  # type: ignore[misc]
        )
        for row in bench.each(edit_type, rows)
    ]


def item_of(bench: Bench, task: str, row: EditRow, output: Path | None) -> Item:
    """The row as an item of the report, with the likeness of the voices."""
    item = Item(
        id=row.id,
        task=task,
        texts={"instruction": row.instruction, "source": row.source_text, "asked for": row.target_text},
        values=dict(bench.likenesses(row.source, output)),
        audio={"source": row.source, "target": row.target},
        badness=5.0,
    )
    if output is not None:
        item.audio["output"] = output
    else:
        item.reasons["all"] = bench.outputs.failures.get(f"{row.edit_type}/{row.id}", "no output")
    for role, region in (("source", row.source_region), ("target", row.target_region)):
        if region is not None:
            item.regions[role] = region
    return item


def exact_oracle(out: Path, row: EditRow) -> Path:
    """The edit by signal processing, written under `out`."""
    path = out / "oracle" / row.edit_type / f"{row.id}.wav"
    if not path.is_file():
        edit = apply_exact(read_recording(row.source), _EXACT[row.edit_type], row.value or 1.0)
        write_recording(path, edit.waveform)
    return path


def splice_oracle(out: Path, row: EditRow) -> Path | None:
    """The edit by cut and paste at the true word times, written under `out`; None without times."""
    if not row.source_words or not row.target_words:
        return None
    path = out / "oracle" / row.edit_type / f"{row.id}.wav"
    if not path.is_file():
        source, target = read_recording(row.source), read_recording(row.target)
        write_recording(path, spliced(source, row.source_words, target, row.target_words))
    return path


def spliced(
    source: Waveform, source_words: Sequence[Word], target: Waveform, target_words: Sequence[Word]
) -> Waveform:
    """What both say, from the source; what only the target says, from the target."""
    old, new = [word for word, _, _ in source_words], [word for word, _, _ in target_words]
    parts: list[Part] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            parts.append((source, _cut(source, source_words, i1), _cut(source, source_words, i2)))
        elif j2 > j1:
            parts.append((target, _cut(target, target_words, j1), _cut(target, target_words, j2)))
    return splice(parts)


def _cut(waveform: Waveform, words: Sequence[Word], index: int) -> int:
    """Where word `index` begins, in samples; the recording's ends before the first and after the last."""
    if index == 0:
        return 0
    return len(waveform) if index == len(words) else min(len(waveform), round(words[index][1] * SAMPLE_RATE))
