"""Corpora of long recordings with all segments in one JSON file of gigabytes, read piece by piece.

WenetSpeech and GigaSpeech.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.data.manifest import Row
from training.data.readers.collector import Collector
from training.data.readers.texts import punctuated
from uniaudio.errors import InvalidInputError

_READ_CHARACTERS = 1 << 20
_MAX_CHARACTERS = 1 << 28  # of one recording's entry
_AUDIOS = re.compile(r'"audios"\s*:\s*\[')
_GARBAGE = frozenset({"<SIL>", "<MUSIC>", "<NOISE>", "<OTHER>"})


def wenetspeech(folder: Path, collector: Collector) -> Iterator[Row]:
    """`WenetSpeech.json` and the Opus files it names. Splits are nested: the set M is the splits S and M."""
    for place, audio, segment in _segments(folder / "WenetSpeech.json"):
        split = _smallest(_get(segment, "subsets", list, place), ("S", "M", "L", "W"))
        yield from _row(
            folder, audio, segment, place, collector, split, str(segment.get("text", "")), "Chinese"
        )


def gigaspeech(folder: Path, collector: Collector) -> Iterator[Row]:
    """`GigaSpeech.json` and the Opus files it names. Splits are nested: the set S is the splits XS and S.

    Segments that are marked as silence, music, noise or other are left out.
    """
    for place, audio, segment in _segments(folder / "GigaSpeech.json"):
        subsets = [str(name).strip("{}") for name in _get(segment, "subsets", list, place)]
        text = str(segment.get("text_tn", ""))
        if text in _GARBAGE:
            collector.skip("it is marked as no speech", f"{segment.get('sid')}: {text}")
            continue
        split = _smallest(subsets, ("XS", "S", "M", "L", "XL"))
        yield from _row(folder, audio, segment, place, collector, split, punctuated(text), "English")


def _row(
    folder: Path,
    audio: Mapping[str, Any],
    segment: Mapping[str, Any],
    place: str,
    collector: Collector,
    split: str,
    text: str,
    language: str,
) -> Iterator[Row]:
    speaker = str(segment.get("speaker", ""))
    start = float(_get(segment, "begin_time", (int, float), place))
    return collector.row(
        id=_get(segment, "sid", str, place),
        audio=folder / _get(audio, "path", str, place),
        split=split,
        text=text,
        language=language,
        speaker="" if speaker == "N/A" else speaker,
        seconds=(start, float(_get(segment, "end_time", (int, float), place))),
    )


def _smallest(subsets: Sequence[str], nested: Sequence[str]) -> str:
    """The smallest of nested sets that a segment is in, or the first of others; "none" where there is none."""
    return next((name for name in nested if name in subsets), next(iter(subsets), "none"))


def _segments(path: Path) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Every segment of every recording: its place for messages, the recording's entry, its own."""
    for number, audio in enumerate(iterate_audios(path)):
        place = f"{path}: audios[{number}]"
        for index, segment in enumerate(_get(audio, "segments", list, place)):
            yield f"{place}.segments[{index}]", audio, segment


def _get(values: Mapping[str, Any], name: str, kind: Any, place: str) -> Any:
    value = values.get(name) if isinstance(values, Mapping) else None
    if not isinstance(value, kind):
        raise InvalidInputError(
            f"{place}: {name!r} is {str(value)[:80]!r}; the layout has another value there"
        )
    return value


def iterate_audios(path: Path) -> Iterator[Mapping[str, Any]]:
    """The entries of the list "audios", one at a time; memory holds one. Raises InvalidInputError."""
    if not path.is_file():
        raise InvalidInputError(f"{path} is missing; give the folder that the corpus was unpacked to")
    with path.open(encoding="utf-8") as file:
        buffer = ""
        while (match := _AUDIOS.search(buffer)) is None:
            buffer = buffer[-64:] + _more(file.read(_READ_CHARACTERS), path, 'no list "audios" is in it')
        buffer = buffer[match.end() :]
        decoder, number = json.JSONDecoder(), 0
        while True:
            buffer = buffer.lstrip(" \t\r\n,")
            if buffer.startswith("]"):
                return
            entry, end = _decode(decoder, buffer)
            if end is not None:
                yield entry
                buffer, number = buffer[end:], number + 1
                continue
            if len(buffer) > _MAX_CHARACTERS:
                raise InvalidInputError(f"{path}: audios[{number}] is not closed; restore the file")
            # Twice as much each time: decoding again stays linear.
            wanted = max(_READ_CHARACTERS, len(buffer))
            buffer += _more(file.read(wanted), path, f"it ends inside audios[{number}], or that is no JSON")


def _decode(decoder: json.JSONDecoder, buffer: str) -> tuple[Any, int | None]:
    """The value that begins the buffer and where it ends; no end where it is not whole."""
    try:
        return decoder.raw_decode(buffer)
    except json.JSONDecodeError:
        return None, None


def _more(read: str, path: Path, otherwise: str) -> str:
    if not read:
        raise InvalidInputError(f"{path}: {otherwise}; restore the file")
    return read
