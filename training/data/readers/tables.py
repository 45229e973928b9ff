"""Corpora of one file an utterance with tables of texts: CoVoST and CoVoST 2, MLS, SPGISpeech."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from training.data.manifest import Row
from training.data.readers.collector import Collector, found, lines, malformed, root
from training.data.readers.texts import language_name

_COVOST_NAME = re.compile(
    r"covost(?:_v2)?\.(?P<source>[\w-]+?)_(?P<target>[\w-]+)\.(?P<split>train|dev|test)\.tsv"
)


def covost(folder: Path, collector: Collector) -> Iterator[Row]:
    """`covost.<source>_<target>.<split>.tsv` with the Common Voice clips (release 3) of each source language."""
    return _covost(folder, "covost.*_*.*.tsv", collector)


def covost2(folder: Path, collector: Collector) -> Iterator[Row]:
    """`covost_v2.<source>_<target>.<split>.tsv` with the Common Voice clips (release 4) of each source language.

    Tables and clips lie in the folder or in subfolders by source language (`<source>/clips`). A clip that
    several targets translate is one row; the text is what is spoken, not the translation.
    """
    return _covost(folder, "covost_v2.*_*.*.tsv", collector)


def _covost(folder: Path, pattern: str, collector: Collector) -> Iterator[Row]:
    seen: set[tuple[str, str]] = set()
    tables = sorted(folder.glob(f"*/{pattern}")) or found(
        folder, pattern, "tables that get_covost_splits.py writes"
    )
    for table in tables:
        name = _COVOST_NAME.fullmatch(table.name)
        if name is None:
            raise malformed(str(table), table.name, "a name like covost_v2.de_en.train.tsv")
        source = name["source"]
        clips = root(folder, f"{source}/clips", "clips")
        for path, text, speaker in _columns(table, ("path", "sentence", "client_id"), "\t"):
            if (source, path) not in seen:
                seen.add((source, path))
                yield from collector.row(
                    id=f"{source}/{Path(path).stem}",
                    audio=clips / (path if Path(path).suffix else f"{path}.mp3"),
                    split=name["split"],
                    text=text,
                    language=language_name(source),
                    speaker=speaker,
                )


def mls(folder: Path, collector: Collector) -> Iterator[Row]:
    """`mls_<language>[_opus]/<split>/transcripts.txt` and `audio/<speaker>/<book>/<id>.flac` or `.opus`."""
    for transcript in found(folder, "mls_*/*/transcripts.txt", "transcripts"):
        corpus = transcript.parent.parent.name
        suffix = "opus" if corpus.endswith("_opus") else "flac"
        for place, line in lines(transcript):
            key, tab, text = line.partition("\t")
            ids = key.split("_")
            if not tab or len(ids) != 3:
                raise malformed(place, line, "'<speaker>_<book>_<number>', a tab, and the text")
            yield from collector.row(
                id=key,
                audio=transcript.parent / "audio" / ids[0] / ids[1] / f"{key}.{suffix}",
                split=transcript.parent.name,
                text=text,
                language=corpus.split("_")[1].capitalize(),
                speaker=ids[0],
            )


def spgispeech(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<split>.csv` with `wav_filename|wav_filesize|transcript`; recordings in `<split>/<call>/<number>.wav`.

    The folder may hold recordings under `spgispeech/`. Speakers are not told.
    """
    for table in found(folder, "*.csv", "train.csv and val.csv"):
        base = folder if (folder / table.stem).is_dir() else folder / "spgispeech"
        for name, text in _columns(table, ("wav_filename", "transcript"), "|"):
            yield from collector.row(
                id=f"{table.stem}/{Path(name).with_suffix('')}",
                audio=base / table.stem / name,
                split=table.stem,
                text=text,
                language="English",
            )


def _columns(table: Path, names: tuple[str, ...], separator: str) -> Iterator[tuple[str, ...]]:
    """The named columns of every line under a header; cells are never quoted."""
    header: list[str] | None = None
    for place, line in lines(table):
        cells = line.split(separator)
        if header is None:
            header = cells
            if missing := set(names) - set(header):
                raise malformed(place, line, f"a header with {', '.join(sorted(missing))}")
            positions = [header.index(name) for name in names]
        elif len(cells) != len(header):
            raise malformed(place, line, f"a line of {len(header)} cells between {separator!r}")
        else:
            yield tuple(cells[position] for position in positions)
