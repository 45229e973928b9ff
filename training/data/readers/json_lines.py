"""Corpora described by one JSON object a line: People's Speech, Emilia, Libriheavy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.data.manifest import Row
from training.data.readers.collector import Collector, found, malformed, root
from training.data.readers.texts import language_name
from training.data.recording import recording_bytes
from training.data.shard_index import members, split_name

_LIBRIHEAVY_PREFIX = "download/librilight/"


def peoples_speech(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<split>/<part>.json` with a line a document and its utterances' FLAC files in `<split>/<part>/`.

    A line has `identifier` and `training_data`, three lists: `name`, `label` (the text), `duration_ms`.
    """
    for table in found(folder, "*/*.json", "one JSON file a part"):
        split, part = table.parent.name, table.stem
        for place, document in _objects(table):
            data = _field(document, "training_data", place)
            names, labels = _field(data, "name", place), _field(data, "label", place)
            if len(names) != len(labels):
                raise malformed(place, f"{len(names)} names, {len(labels)} labels", "one label a name")
            for name, text in zip(names, labels, strict=True):
                relative = Path(str(name).removeprefix("./"))
                yield from collector.row(
                    id=f"{part}/{relative.with_suffix('')}",
                    audio=table.parent / part / relative,
                    split=split if split == part else f"{split}/{part}",
                    text=_text(text),
                    language="English",
                )


def emilia(folder: Path, collector: Collector) -> Iterator[Row]:
    """Per language folder: `<LANG>_B<n>.jsonl` with MP3 files that its `wav` names, or WebDataset tars.

    A tar has `<id>.mp3` and `<id>.json` with the same fields (`id`, `text`, `speaker`, `language`).
    """
    corpus = root(folder, "raw", "Emilia")
    tables, shards = sorted(corpus.glob("*/*.jsonl")), sorted(corpus.glob("*/*.tar"))
    if not tables and not shards:
        found(corpus, "*/*.jsonl", "or */*.tar, by language")
    for table in tables:
        for place, entry in _objects(table):
            audio = table.parent / str(_field(entry, "wav", place))
            yield from _emilia_row(collector, entry, place, audio)
    for shard in shards:
        for name in members(shard):
            if name.endswith(".json"):
                place = f"{shard}:{name}"
                entry = _parse(recording_bytes(shard, name), place)
                yield from _emilia_row(collector, entry, place, shard, split_name(name)[0] + ".mp3")


def _emilia_row(
    collector: Collector, entry: dict[str, Any], place: str, audio: Path, member: str = ""
) -> Iterator[Row]:
    identity, speaker = str(_field(entry, "id", place)), str(_field(entry, "speaker", place))
    return collector.row(
        id=identity,
        audio=audio,
        member=member,
        split="train",
        text=_text(_field(entry, "text", place)),
        language=language_name(str(_field(entry, "language", place))),
        speaker=speaker,
    )


def libriheavy(folder: Path, collector: Collector) -> Iterator[Row]:
    """`libriheavy_cuts_<part>.jsonl.gz` (as published, or with texts extracted) over the Libri-Light files.

    The recordings are looked for where the manifests say (`download/librilight/...` in the folder) and
    without that prefix. Of the two texts the one with case and punctuation is taken.
    """
    places = ("", "libriheavy/", "download/libriheavy/", "cases_and_punc/lhotse/")
    patterns = [f"{place}libriheavy_cuts_*.jsonl.gz" for place in places]
    pattern = next((pattern for pattern in patterns if any(folder.glob(pattern))), patterns[0])
    for table in found(folder, pattern, "manifests of cuts"):
        split = table.name.removeprefix("libriheavy_cuts_").removesuffix(".jsonl.gz")
        for place, cut in _objects(table):
            supervision = _field(_field(cut, "supervisions", place), 0, place)
            source = _field(
                _field(_field(_field(cut, "recording", place), "sources", place), 0, place), "source", place
            )
            audio = folder / source
            if not audio.is_file():
                audio = folder / str(source).removeprefix(_LIBRIHEAVY_PREFIX)
            text = supervision.get("text") or _field(
                _field(_field(supervision, "custom", place), "texts", place), 0, place
            )
            start, duration = _number(cut, "start", place), _number(cut, "duration", place)
            yield from collector.row(
                id=str(_field(cut, "id", place)),
                audio=audio,
                split=split,
                text=_text(text),
                language="English",
                speaker=str(supervision.get("speaker", "")),
                seconds=(start, start + duration),
            )


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line's object and its place; files ending in `.gz` are unpacked on the way."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{path}:{number}", _parse(line, f"{path}:{number}")


def _parse(content: bytes, place: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise malformed(place, content.decode(errors="replace"), "one JSON object") from error
    if not isinstance(value, dict):
        raise malformed(place, str(value), "one JSON object")
    return value


def _field(values: Any, name: str | int, place: str) -> Any:
    try:
        return values[name]
    except (KeyError, IndexError, TypeError) as error:
        raise malformed(place, str(values), f"the field {name!r}") from error


def _text(value: Any) -> str:
    """A text; none where the corpus has none."""
    return value if isinstance(value, str) else ""


def _number(values: Any, name: str, place: str) -> float:
    value = _field(values, name, place)
    if not isinstance(value, int | float):
        raise malformed(place, str(value), f"a number as {name!r}")
    return float(value)
