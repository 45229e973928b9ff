"""A report that a person judges by eye and ear: one self-contained HTML file.

Figures and recordings are inside the file, so it can be mailed, or opened on a phone without a server.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from uniaudio.errors import InvalidAudioError, InvalidInputError
from uniaudio.whole_file import write_whole

AudioEncoding = Literal["flac", "mp3"]
Tone = Literal["plain", "good", "bad", "unknown", "wrong", "badge", "note"]


@dataclass(frozen=True)
class Marked:
    """Words that stand out: "wrong" is underlined, "badge" framed, "note" small, the others bold and coloured."""

    text: str
    tone: Tone


@dataclass(frozen=True, kw_only=True)
class _Block:
    """One piece of a section; `kind` chooses what the template makes of it."""

    kind: Literal["text", "note", "verdict", "table", "facts", "figure", "audio"]
    text: tuple[Marked, ...] = ()
    passed: bool = True
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[tuple[Marked, ...], ...], ...] = ()
    numbers: frozenset[int] = frozenset()
    picture_url: str = ""
    audio_url: str = ""


@dataclass
class _Section:
    heading: str
    kind: Literal["open", "folded", "card"] = "open"
    blocks: list[_Block] = field(default_factory=list)


class Report:
    """Collects sections and writes them; every method returns the report, so calls can be chained.

    Blocks belong to the section or card that was opened last; before any, to the introduction. Texts are
    plain: they are escaped. Where `object` is taken, floats are shown with four digits, None as a dash, and
    a list as its pieces, each a text or `Marked`.
    """

    def __init__(self, title: str, introduction: str = "") -> None:
        self.title = title
        self._sections = [_Section("")]
        if introduction:
            self.text(introduction)

    def section(self, heading: str, text: str = "", *, folded: bool = False) -> Report:
        """Opens a section; a `folded` one shows its heading only until it is touched."""
        self._sections.append(_Section(heading, "folded" if folded else "open"))
        return self.text(text) if text else self

    def card(self, heading: str) -> Report:
        """Opens a box inside the section: one item of many."""
        self._sections.append(_Section(heading, "card"))
        return self

    def text(self, paragraph: str) -> Report:
        return self._add(_Block(kind="text", text=_pieces(paragraph)))

    def note(self, text: str) -> Report:
        """A line in small print."""
        return self._add(_Block(kind="note", text=_pieces(text)))

    def verdict(self, passed: bool, text: str) -> Report:
        """One line, marked as passed or failed in words, not by colour alone."""
        return self._add(_Block(kind="verdict", passed=passed, text=_pieces(text)))

    def table(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[object]],
        caption: object = "",
        *,
        numbers: Collection[int] = (),
    ) -> Report:
        """A table whose first column names the rows; the columns `numbers` are aligned to the right.

        Raises InvalidInputError for a row that has not as many cells as there are headers.
        """
        for index, row in enumerate(rows):
            if len(row) != len(headers):
                raise InvalidInputError(
                    f"row {index} has {len(row)} cells and the table {len(headers)} columns: give one cell each"
                )
        return self._add(
            _Block(
                kind="table",
                text=_pieces(caption),
                headers=tuple(headers),
                rows=tuple(tuple(_pieces(value) for value in row) for row in rows),
                numbers=frozenset(numbers),
            )
        )

    def facts(self, facts: Iterable[tuple[str, object]]) -> Report:
        """Names, and beside each what it is."""
        return self._add(
            _Block(kind="facts", rows=tuple((_pieces(name), _pieces(value)) for name, value in facts))
        )

    def figure(self, picture: bytes, caption: str = "") -> Report:
        """A picture, as `uniaudio.evaluation.plots` gives it."""
        return self._add(_Block(kind="figure", text=_pieces(caption), picture_url=_picture_url(picture)))

    def audio(
        self,
        waveform: NDArray[np.float32],
        sample_rate: int,
        caption: str = "",
        *,
        picture: bytes | None = None,
        encoding: AudioEncoding = "flac",
    ) -> Report:
        """A player of `waveform` `(num_samples,)`, below its `picture`. "flac" keeps every bit,
        "mp3" is a fifth of its size.

        Raises InvalidAudioError for a waveform that is not one channel with samples.
        """
        if waveform.ndim != 1 or waveform.size == 0:
            raise InvalidAudioError(
                f"the waveform {caption!r} has shape {waveform.shape}: give one channel with samples"
            )
        buffer = io.BytesIO()
        soundfile.write(buffer, np.clip(waveform, -1.0, 1.0), sample_rate, format=encoding.upper())
        media_type = "audio/flac" if encoding == "flac" else "audio/mpeg"
        return self._add(
            _Block(
                kind="audio",
                text=_pieces(caption),
                picture_url="" if picture is None else _picture_url(picture),
                audio_url=_data_url(buffer.getvalue(), media_type),
            )
        )

    def render(self) -> str:
        """The whole report as HTML."""
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
        )
        template = environment.get_template("report.html.jinja")
        return template.render(title=self.title, sections=self._sections)

    def write(self, path: Path) -> Path:
        """Writes the report and its folder; `path` is returned."""
        write_whole(path, self.render())
        return path

    def _add(self, block: _Block) -> Report:
        self._sections[-1].blocks.append(block)
        return self


def _pieces(value: object) -> tuple[Marked, ...]:
    if isinstance(value, list):
        return tuple(piece for item in value for piece in _pieces(item))
    if isinstance(value, Marked):
        return (value,)
    if value is None:
        return (Marked("–", "plain"),)
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return (Marked(text, "plain"),) if text else ()


def _picture_url(picture: bytes) -> str:
    return _data_url(picture, "image/png" if picture.startswith(b"\x89PNG") else "image/webp")


def _data_url(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
