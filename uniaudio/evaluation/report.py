"""The report that a person judges by eye and ear: one HTML file with everything inside, and its JSON."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from uniaudio.evaluation import plots
from uniaudio.evaluation.normalize import spoken_tokens
from uniaudio.evaluation.recordings import read_recording, replace_file
from uniaudio.evaluation.results import Item, SuiteResult, Table, unit_of
from uniaudio.evaluation.word_errors import align

_RATE = 16_000
_REFERENCES = ("asked for", "text", "said")
_HEARD = ("heard", "transcript")
_ROLES = ("prompt", "source", "target", "output")


@dataclass(frozen=True)
class _Player:
    role: str
    audio_url: str
    picture_url: str
    seconds: float


@dataclass(frozen=True)
class _Card:
    item: Item
    players: Sequence[_Player]
    texts: Sequence[tuple[str, Sequence[tuple[str, bool]]]]  # words, and whether each is wrong
    values: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Section:
    """One task: its tables with pictures, its worst items, and a line for every item."""

    title: str
    tables: Sequence[tuple[Table, str]]
    cards: Sequence[_Card]
    lines: Sequence[tuple[str, Sequence[str]]]
    columns: Sequence[str]
    spread_url: str


def write_json(result: SuiteResult, path: Path) -> Path:
    """Every item and every aggregate, with settings and models."""
    replace_file(path, (json.dumps(result.as_dict(), ensure_ascii=False, indent=2) + "\n").encode())
    return path


def write_html(result: SuiteResult, path: Path, *, items_per_task: int = 6) -> Path:
    """One file that needs nothing else; the worst `items_per_task` of each task can be seen and heard."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html.jinja").render(
        result=result,
        sections=list(_sections(result, items_per_task)),
        show=_show,
        floors=_floors,
        reasons=_reasons,
    )
    replace_file(path, page.encode())
    return path


def _show(metric: str, value: float | None) -> str:
    return unit_of(metric).show(value)


def _floors(model: dict[str, Any]) -> str:
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in model["floors"].items()) or "–"


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


def _sections(result: SuiteResult, items_per_task: int) -> Iterator[_Section]:
    for title in dict.fromkeys(table.title for table in result.tables):
        tables = [table for table in result.tables if table.title == title]
        items = [item for item in result.items if item.task == title]
        items.sort(key=lambda item: -item.badness)
        columns = list(dict.fromkeys(name for item in items for name in item.values))
        yield _Section(
            title=title,
            tables=[(table, _picture(plots.bars(table))) for table in tables],
            cards=[_card(item) for item in items[:items_per_task]],
            lines=[(item.id, [_show(name, item.values.get(name)) for name in columns]) for item in items],
            columns=columns,
            spread_url=_spread(items, columns),
        )


def _spread(items: Sequence[Item], columns: Sequence[str]) -> str:
    for name in columns:
        values = [value for item in items if (value := item.values.get(name)) is not None]
        if len(set(values)) > 2:
            return _picture(plots.spread(values, name))
    return ""


def _card(item: Item) -> _Card:
    found = {role: read_recording(item.audio[role]) for role in _ROLES if role in item.audio}
    seconds = max((len(waveform) / _RATE for waveform in found.values()), default=1.0)
    players = [
        _Player(
            role,
            _data_url(_flac(waveform), "audio/flac"),
            _picture(plots.spectrogram(waveform, seconds, item.regions.get(role))),
            len(waveform) / _RATE,
        )
        for role, waveform in found.items()
    ]
    reference = next((item.texts[name] for name in _REFERENCES if name in item.texts), "")
    texts = [(name, _marked(name, text, reference)) for name, text in item.texts.items() if text]
    values = [(name, _show(name, value)) for name, value in item.values.items()]
    return _Card(item, players, texts, values)


def _marked(name: str, text: str, reference: str) -> list[tuple[str, bool]]:
    """The words of what was heard, the wrong ones marked, missing ones in brackets; other texts as they are."""
    if not name.startswith(_HEARD) or not reference or not text.isascii():
        return [(text, False)]
    wanted, heard = spoken_tokens(reference, "en"), spoken_tokens(text, "en")
    words = []
    for step in align(wanted, heard):
        if step.hypothesis is not None:
            words.append((heard[step.hypothesis], step.kind != "equal"))
        elif step.reference is not None:
            words.append((f"[{wanted[step.reference]}]", True))
    return words


def _flac(waveform: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1, 1), _RATE, format="FLAC")
    return buffer.getvalue()


def _picture(content: bytes | None) -> str:
    return "" if content is None else _data_url(content, "image/webp")


def _data_url(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
