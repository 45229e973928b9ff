"""The layout of our own test sets: `speech.jsonl`, `edits.jsonl` and audio in one folder.

`speech.jsonl`: what is said by whom, for transcription, speech and the tokenizer. `edits.jsonl`: triplets
in the form of evaluation 4.6. Paths are relative to the folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.normalize import Language, language_code

T = TypeVar("T")
Word = tuple[str, float, float]
SPEECH = "speech.jsonl"
EDITS = "edits.jsonl"
TASKS = ("transcribe", "speak", "reconstruct")


@dataclass(frozen=True, kw_only=True)
class SpeechRow:
    """A recording with its words; `prompt` is another recording of the same voice, for speech.

    `is_new_voice` says that nothing of the system was trained on this voice.
    """

    id: str
    audio: Path
    text: str
    speaker: str
    language: Language = "en"
    is_new_voice: bool = False
    tasks: tuple[str, ...] = TASKS
    prompt_audio: Path | None = None
    prompt_text: str = ""


@dataclass(frozen=True, kw_only=True)
class EditRow:
    """A triplet: the source, what to do with it, and the recording that this asks for."""

    id: str
    edit_type: str
    instruction: str
    source: Path
    target: Path
    source_text: str
    target_text: str
    language: Language = "en"
    value: float | None = None
    snr_db: float | None = None
    source_words: tuple[Word, ...] = ()
    target_words: tuple[Word, ...] = ()
    source_region: tuple[float, float] | None = None
    target_region: tuple[float, float] | None = None


def read_speech(folder: Path) -> list[SpeechRow]:
    """The rows of `speech.jsonl`, none where there is no such file; InvalidInputError names a bad line."""
    return list(_rows(folder / SPEECH, lambda values: _speech_row(folder, values)))


def read_edits(folder: Path) -> list[EditRow]:
    """The rows of `edits.jsonl`, none where there is no such file; InvalidInputError names a bad line."""
    return list(_rows(folder / EDITS, lambda values: _edit_row(folder, values)))


def write_speech(folder: Path, rows: Iterable[SpeechRow]) -> Path:
    """Writes `speech.jsonl`; the rows' recordings must lie in the folder."""
    lines = []
    for row in rows:
        values: dict[str, Any] = {
            "id": row.id,
            "audio": str(row.audio.relative_to(folder)),
            "text": row.text,
            "speaker": row.speaker,
            "lang": row.language,
            "new_voice": row.is_new_voice,
            "tasks": list(row.tasks),
        }
        if row.prompt_audio is not None:
            values |= {
                "prompt_audio": str(row.prompt_audio.relative_to(folder)), "prompt_text": row.prompt_text
            }  # fmt: skip
        lines.append(json.dumps(values, ensure_ascii=False) + "\n")
    path = folder / SPEECH
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _rows(path: Path, parse: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield parse(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidInputError(
                    f"{path}, line {number}: {error!r}; see docs/evaluation.md"
                ) from error


def _speech_row(folder: Path, values: Mapping[str, Any]) -> SpeechRow:
    prompt = values.get("prompt_audio")
    tasks = tuple(values.get("tasks", TASKS))
    if unknown := set(tasks) - set(TASKS):
        raise ValueError(f"tasks {sorted(unknown)} are unknown; there are {', '.join(TASKS)}")
    return SpeechRow(
        id=values["id"],
        audio=folder / values["audio"],
        text=values["text"],
        speaker=values["speaker"],
        language=language_code(values.get("lang", "en")),
        is_new_voice=bool(values.get("new_voice", False)),
        tasks=tasks,
        prompt_audio=folder / prompt if prompt else None,
        prompt_text=values.get("prompt_text", ""),
    )


def _edit_row(folder: Path, values: Mapping[str, Any]) -> EditRow:
    edit = values.get("edit") or {}
    return EditRow(
        id=values["id"],
        edit_type=values["edit_type"],
        instruction=values["instruction"],
        source=folder / values["source_audio"],
        target=folder / values["target_audio"],
        source_text=values["source_text"],
        target_text=values["target_text"],
        language=language_code(values.get("lang", "en")),
        value=edit.get("value"),
        snr_db=edit.get("snr_db"),
        source_words=_words(values.get("source_words")),
        target_words=_words(values.get("target_words")),
        source_region=_region(values.get("source_region")),
        target_region=_region(values.get("target_region")),
    )


def _words(values: Any) -> tuple[Word, ...]:
    return tuple((str(word), float(start), float(end)) for word, start, end in values or ())


def _region(value: Any) -> tuple[float, float] | None:
    return None if value is None else (float(value[0]), float(value[1]))
