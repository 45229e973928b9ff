"""The layout of Ming-Freeform-Audio-Edit: meta files, clips, and where outputs are expected (evaluation 1.2.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uniaudio.evaluation.edit_accuracy import EditTask
from uniaudio.evaluation.normalize import Language
from uniaudio.evaluation.suites.synthetic_data import Word

Version = Literal["basic", "full"]
WORD_FOLDERS: dict[str, tuple[str, EditTask]] = {
    "del": ("deletion", "deletion"), "ins": ("insertion", "insertion"), "sub": ("substitution", "substitution"),
}  # fmt: skip
SOUND_FOLDERS = {"time_stretch": "speed", "pitch_shift": "pitch", "vol": "volume", "dialect": "dialect",
                 "emotion": "emotion"}  # fmt: skip
_HEADER = "file_name"
_NUM_FIELDS = 5
_NUMBER = re.compile(r"[-+−–]?\d+(?:\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class FreeformRow:
    """One edit of the benchmark; `output_key` is where its output is expected, without the ending."""

    name: str
    source: Path
    instruction: str
    original: str
    target: str
    output_key: str

    @property
    def value(self) -> float | None:
        """The last number of the instruction: a factor, or semitones."""
        numbers = _NUMBER.findall(self.instruction)
        return float(numbers[-1].replace("−", "-").replace("–", "-")) if numbers else None


@dataclass(frozen=True, kw_only=True)
class FreeformSet:
    """The rows of one meta file."""

    folder: str
    language: Language
    version: Version
    rows: tuple[FreeformRow, ...]
    num_skipped: int

    @property
    def task(self) -> str:
        return WORD_FOLDERS[self.folder][0] if self.folder in WORD_FOLDERS else SOUND_FOLDERS[self.folder]

    @property
    def title(self) -> str:
        version = f" {self.version}" if self.folder in WORD_FOLDERS else ""
        return f"{self.task}{version}, {self.language}"


def read_sets(data: Path) -> Iterator[FreeformSet]:
    """Every meta file that a published tool uses."""
    for folder in (*WORD_FOLDERS, *SOUND_FOLDERS):
        for path in sorted((data / "meta" / folder).glob("*.csv")):
            language: Language = "en" if "_en_" in path.name else "zh"
            version: Version = "basic" if path.stem.endswith("_basic") else "full"
            rows, num_skipped = _read_rows(data, path, folder, language, version)
            if rows:
                yield FreeformSet(
                    folder=folder,
                    language=language,
                    version=version,
                    rows=tuple(rows),
                    num_skipped=num_skipped,
                )


def _read_rows(
    data: Path, path: Path, folder: str, language: Language, version: Version
) -> tuple[list[FreeformRow], int]:
    rows, num_skipped = [], 0
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("|")
        if fields[0] == _HEADER or not line.strip():
            continue
        if len(fields) < _NUM_FIELDS:
            num_skipped += 1
            continue
        name, source, instruction, original, target = fields[:_NUM_FIELDS]
        row = FreeformRow(
            name=name,
            source=_clip(data, source, folder, name),
            instruction=instruction,
            original=original,
            target=target,
            output_key=_output_key(folder, language, version, name),
        )
        rows.append(row)
    return rows, num_skipped


def _clip(data: Path, source: str, folder: str, name: str) -> Path:
    """The clip; ids of acoustic tasks may carry the task's name, which their clips do not."""
    path = data / source
    return path if path.is_file() else data / "wavs" / f"{name.removeprefix(folder + '_')}.wav"


def _output_key(folder: str, language: Language, version: Version, name: str) -> str:
    if folder in WORD_FOLDERS:
        return f"{folder}/edit_{folder}_{'basic' if version == 'basic' else 'open'}/tts/{name}"
    return f"{folder}/{folder}_basic_{language}/tts/{name}"


def read_word_times(data: Path) -> dict[str, tuple[Word, ...]]:
    """Word times of source clips by clip, from `words.jsonl` of our own; empty where there is none."""
    path = data / "words.jsonl"
    if not path.is_file():
        return {}
    entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {
        entry["path"]: tuple((str(w), float(start), float(end)) for w, start, end in entry["words"])
        for entry in entries
    }
