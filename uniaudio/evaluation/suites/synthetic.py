"""The synthetic suite: every aim of nano, on our own test sets (evaluation 4.5, 4.6)."""

from __future__ import annotations

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.aims import judge_aims
from uniaudio.evaluation.bench import Bench
from uniaudio.evaluation.results import Item, SuiteResult, Table
from uniaudio.evaluation.suites import synthetic_data as data
from uniaudio.evaluation.suites.reconstruction import reconstruction, recordings_of
from uniaudio.evaluation.suites.sound_edits import MEASURES, denoising, sound_edits
from uniaudio.evaluation.suites.synthetic_speech import speaking, transcription
from uniaudio.evaluation.suites.word_edits import WORD_TASKS, word_edits

DENOISE_DB = 5.0
NEW_VOICES = "reconstruction, held-out voices"
KNOWN_VOICES = "reconstruction, voices of the training data"
REAL = "reconstruction, real recordings"


def evaluate(bench: Bench) -> SuiteResult:
    """Every task that the folder has rows for; InvalidInputError where it has none."""
    speech, edits = data.read_speech(bench.data), data.read_edits(bench.data)
    if not speech and not edits:
        raise InvalidInputError(
            f"{bench.data} holds neither {data.SPEECH} nor {data.EDITS}: name a test set (docs/evaluation.md)"
        )
    found: list[tuple[Table, list[Item]]] = []
    if rows := [row for row in speech if "transcribe" in row.tasks]:
        found.append(transcription(bench, rows))
    if rows := [row for row in speech if "speak" in row.tasks]:
        found.append(speaking(bench, rows, speech))
    for title, is_new in ((NEW_VOICES, True), (KNOWN_VOICES, False)):
        if rows := [row for row in speech if "reconstruct" in row.tasks and row.is_new_voice is is_new]:
            found.append(reconstruction(bench, title, [(f"reconstruct/{row.id}", row.audio) for row in rows]))
    if bench.recordings is not None:
        found.append(reconstruction(bench, REAL, recordings_of(bench.recordings)))
    found += _edits(bench, edits)
    tables, items = [table for table, _ in found], [item for _, some in found for item in some]
    left_out = sorted({row.edit_type for row in edits} - {*WORD_TASKS, *MEASURES, "denoise", "none"})
    return SuiteResult(
        suite="synthetic",
        settings=bench.settings(),
        models=bench.models(),
        tables=tables,
        items=items,
        aims=judge_aims(tables),
        notes=[f"no measure for edits of type {', '.join(left_out)}: left out"] if left_out else [],
    )


def _edits(bench: Bench, edits: list[data.EditRow]) -> list[tuple[Table, list[Item]]]:
    found: list[tuple[Table, list[Item]]] = []
    for edit_type in WORD_TASKS:
        if rows := [row for row in edits if row.edit_type == edit_type]:
            tables, items = word_edits(bench, edit_type, rows)
            found += [(table, items if number == 0 else []) for number, table in enumerate(tables)]
    for edit_type in MEASURES:
        if rows := [row for row in edits if row.edit_type == edit_type]:
            found.append(sound_edits(bench, edit_type, rows))
    noisy = [row for row in edits if row.edit_type == "denoise"]
    at_aim = [row for row in noisy if row.snr_db is not None and abs(row.snr_db - DENOISE_DB) < 0.5]
    others = [row for row in noisy if row not in at_aim]
    return found + [denoising(bench, rows) for rows in (at_aim, others) if rows]
