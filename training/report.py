"""A report that a person judges by eye and ear: one self-contained HTML file.

Figures and recordings are inside the file, so it can be mailed, or opened on a phone without a server.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from uniaudio.errors import InvalidAudioError, InvalidInputError

AudioEncoding = Literal["flac", "mp3"]


@dataclass(frozen=True, kw_only=True)
class _Block:
    """One piece of a section; `kind` chooses the macro of the template that shows it."""

    kind: Literal["text", "verdict", "table", "figure", "audio"]
    text: str = ""
    passed: bool = True
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    url: str = ""


@dataclass
class _Section:
    heading: str
    folded: bool = False
    blocks: list[_Block] = field(default_factory=list)


class Report:
    """Collects sections and writes them; every method returns the report, so calls can be chained.

    Blocks belong to the section that was opened last; before any, to the introduction. Texts are plain:
    they are escaped.
    """

    def __init__(self, title: str, introduction: str = "") -> None:
        self.title = title
        self._sections = [_Section("")]
        if introduction:
            self.text(introduction)

    def section(self, heading: str, text: str = "", *, folded: bool = False) -> Report:
        """Opens a section; a `folded` one shows its heading only until it is touched."""
        self._sections.append(_Section(heading, folded))
        return self.text(text) if text else self

    def text(self, paragraph: str) -> Report:
        return self._add(_Block(kind="text", text=paragraph))

    def verdict(self, passed: bool, text: str) -> Report:
        """One line, marked as passed or failed in words, not by colour alone."""
        return self._add(_Block(kind="verdict", passed=passed, text=text))

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Report:
        """A table; floats are shown with four digits, None as a dash.

        Raises InvalidInputError for a row that has not as many cells as there are headers.
        """
        for index, row in enumerate(rows):
            if len(row) != len(headers):
                raise InvalidInputError(
                    f"row {index} has {len(row)} cells and the table {len(headers)} columns: give one cell each"
                )
        cells = tuple(tuple(_cell(value) for value in row) for row in rows)
        return self._add(_Block(kind="table", text=caption, headers=tuple(headers), rows=cells))

    def figure(self, png: bytes, caption: str = "") -> Report:
        """A picture, as `training.plots` gives it."""
        return self._add(_Block(kind="figure", text=caption, url=_data_url(png, "image/png")))

    def audio(
        self,
        waveform: NDArray[np.float32],
        sample_rate: int,
        caption: str = "",
        *,
        encoding: AudioEncoding = "flac",
    ) -> Report:
        """A player of `waveform` `(num_samples,)`. "flac" keeps every bit, "mp3" is a fifth of its size.

        Raises InvalidAudioError for a waveform that is not one channel with samples.
        """
        if waveform.ndim != 1 or waveform.size == 0:
            raise InvalidAudioError(
                f"the waveform {caption!r} has shape {waveform.shape}: give one channel with samples"
            )
        buffer = io.BytesIO()
        soundfile.write(buffer, np.clip(waveform, -1.0, 1.0), sample_rate, format=encoding.upper())
        media_type = "audio/flac" if encoding == "flac" else "audio/mpeg"
        return self._add(_Block(kind="audio", text=caption, url=_data_url(buffer.getvalue(), media_type)))

    def render(self) -> str:
        """The whole report as HTML."""
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
        )
        template = environment.get_template("report.html.jinja")
        return template.render(title=self.title, sections=self._sections)

    def write(self, path: Path) -> Path:
        """Writes the report and its folder; `path` is returned."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.render(), encoding="utf-8")
        return path

    def _add(self, block: _Block) -> Report:
        self._sections[-1].blocks.append(block)
        return self


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _data_url(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
