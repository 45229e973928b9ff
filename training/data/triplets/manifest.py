"""Triplets on disk: 16 kHz mono PCM16 files, and one JSON object a line (evaluation facts 4.6)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from training.data.readers.texts import language_code
from training.data.triplets.checks import Checks
from training.data.triplets.splice import CROSSFADE_MS
from training.data.triplets.triplet import Edit, Instruction, Kind, Region, Triplet
from training.data.utterance import Span, Utterance, Voice
from uniaudio.errors import InvalidInputError
from uniaudio.file_digest import sha256_of_file

GENERATOR_VERSION = "1"
_FIELDS = frozenset(
    {
        *("id", "split", "lang", "edit_type", "method", "instruction", "instruction_form", "template_id"),
        *("instruction_language", "held_out_wording", "source_audio", "target_audio", "sample_rate"),
        *("source_samples", "target_samples", "source_text", "target_text", "plan_text", "reasoning", "edit"),
        *("source_words", "target_words", "source_region", "target_region", "crossfade_ms", "speaker"),
        *("target_speaker", "checks", "seed", "generator_version", "synthetic", "sha256"),
    }
)
_RECORDING = "recording"  # the id of the target's recording; what was synthesised has none


def write_triplet(
    triplet: Triplet, checks: Checks, *, folder: Path, place: str, identity: str, split: str, seed: int
) -> dict[str, Any]:
    """Writes both recordings under `folder / place` and gives the row that tells about them."""
    (folder / place).mkdir(parents=True, exist_ok=True)
    paths = {side: f"{place}/{identity}.{side}.wav" for side in ("source", "target")}
    for side, path in paths.items():
        waveform = getattr(triplet, side).waveform
        soundfile.write(folder / path, waveform, triplet.source.sample_rate, subtype="PCM_16")
    hashes = {side: sha256_of_file(folder / path) for side, path in paths.items()}
    return {
        "id": identity,
        "split": split,
        "lang": language_code(triplet.source.language),
        "edit_type": "add_music" if triplet.edit.name == "music" else triplet.kind.value,
        "method": triplet.method,
        "source_audio": paths["source"],
        "target_audio": paths["target"],
        **_words_and_plan(triplet),
        "checks": {
            "boundary_max_ms": checks.boundary_max_ms, "asr_wer_source": None, "asr_wer_target": None,
            "peak": checks.peak, "passed": checks.passed,
        },
        "seed": seed,
        "generator_version": GENERATOR_VERSION,
        "synthetic": not triplet.target.recording,
        "sha256": hashes,
        **({_RECORDING: triplet.target.recording} if triplet.target.recording else {}),
    }  # fmt: skip


def _words_and_plan(triplet: Triplet) -> dict[str, Any]:
    said, edit, rate = triplet.instruction, triplet.edit, triplet.source.sample_rate
    return {
        "instruction": said.text,
        "instruction_form": said.form,
        "instruction_language": said.language,
        "template_id": said.template_id,
        "held_out_wording": said.held_out,
        "sample_rate": rate,
        "source_samples": triplet.source.waveform.size,
        "target_samples": triplet.target.waveform.size,
        "source_text": triplet.source.text,
        "target_text": triplet.target.text,
        "plan_text": triplet.plan_text,
        "reasoning": triplet.reasoning,
        "edit": {
            "op": triplet.kind.value, "span_words": list(edit.span_words) if edit.span_words else None,
            "old": edit.old, "new": edit.new, "value": edit.value, "unit": edit.unit,
            "snr_db": edit.snr_db, "noise_id": f"synthetic-{edit.name}" if edit.snr_db is not None else None,
            "name": edit.name,
        },
        "source_words": _seconds(triplet.source),
        "target_words": _seconds(triplet.target),
        "source_region": _region_seconds(triplet.source_region, rate),
        "target_region": _region_seconds(triplet.target_region, rate),
        "crossfade_ms": CROSSFADE_MS,
        "speaker": asdict(triplet.source.voice),
        "target_speaker": asdict(triplet.target.voice),
    }  # fmt: skip


def _seconds(spoken: Utterance) -> list[list[Any]]:
    rate = spoken.sample_rate
    return [[word.label, word.start / rate, word.end / rate] for word in spoken.words]


def _region_seconds(region: Region | None, sample_rate: int) -> list[float] | None:
    return None if region is None else [edge / sample_rate for edge in region]


def read_rows(manifest: Path) -> Iterator[dict[str, Any]]:
    """Every row of a manifest; InvalidInputError, naming the line, for one that has not exactly the fields."""
    with manifest.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            row = json.loads(line)
            if odd := sorted((set(row) - {_RECORDING}) ^ _FIELDS):
                raise InvalidInputError(
                    f"{manifest}:{number} has not the fields of version {GENERATOR_VERSION}: {', '.join(odd)}; "
                    "write it anew"
                )
            yield row


def read_triplet(row: Mapping[str, Any], folder: Path) -> Triplet:
    """The triplet of a row, with its recordings; where it was cut is not kept.

    Raises InvalidInputError for a recording that has not the samples that the row tells.
    """
    edit = row["edit"]
    return Triplet(
        kind=Kind(edit["op"]),
        method=row["method"],
        instruction=Instruction(
            text=row["instruction"],
            form=row["instruction_form"],
            template_id=row["template_id"],
            language=row["instruction_language"],
            held_out=row["held_out_wording"],
        ),
        source=_read_side(row, "source", row["speaker"], folder),
        target=_read_side(row, "target", row["target_speaker"], folder),
        edit=Edit(
            span_words=tuple(edit["span_words"]) if edit["span_words"] else None,
            **{name: edit[name] for name in ("old", "new", "value", "unit", "snr_db", "name")},
        ),
        plan_text=row["plan_text"],
        reasoning=row["reasoning"],
        source_region=_region_samples(row["source_region"], row["sample_rate"]),
        target_region=_region_samples(row["target_region"], row["sample_rate"]),
    )


def _read_side(row: Mapping[str, Any], side: str, voice: Mapping[str, Any], folder: Path) -> Utterance:
    waveform, rate = soundfile.read(folder / row[f"{side}_audio"], dtype="float32")
    if (waveform.shape, rate) != ((row[f"{side}_samples"],), row["sample_rate"]):
        raise InvalidInputError(
            f"{row[f'{side}_audio']} has shape {waveform.shape} at {rate} Hz, its row tells "
            f"{row[f'{side}_samples']} samples at {row['sample_rate']} Hz; write the corpus anew"
        )
    return Utterance(
        text=row[f"{side}_text"],
        voice=Voice(**voice),
        waveform=np.asarray(waveform, np.float32),
        words=tuple(Span(word, round(a * rate), round(b * rate)) for word, a, b in row[f"{side}_words"]),
        sample_rate=rate,
    )


def _region_samples(region: list[float] | None, sample_rate: int) -> Region | None:
    return None if region is None else (round(region[0] * sample_rate), round(region[1] * sample_rate))
