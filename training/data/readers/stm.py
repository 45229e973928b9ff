"""Corpora of long recordings with STM transcripts: TED-LIUM (releases 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.data.manifest import Row
from training.data.readers.collector import Collector, found, lines, malformed, root
from training.data.readers.texts import from_stm


def tedlium(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<split>/stm/<talk>.stm` and `<split>/sph/<talk>.sph`; in release 3 inside `legacy/`.

    An STM line is `talk channel speaker start_s end_s <labels> text`. Stretches that are not to be scored
    are left out.
    """
    corpus = root(folder, "legacy")
    for transcript in found(corpus, "*/stm/*.stm", "transcripts"):
        split = transcript.parent.parent
        for number, (place, line) in enumerate(lines(transcript)):
            if line.startswith(";;"):
                continue
            parts = line.split(maxsplit=6)
            try:
                talk, _, speaker, seconds = *parts[:3], (float(parts[3]), float(parts[4]))
            except (IndexError, ValueError) as error:
                raise malformed(place, line, "'talk channel speaker start_s end_s <labels> text'") from error
            text = parts[6] if len(parts) > 6 else ""
            if "ignore_time_segment_in_scoring" in line:
                collector.skip("it is marked as not transcribed", f"{talk} {seconds}")
                continue
            yield from collector.row(
                id=f"{talk}-{number:04d}",
                audio=split / "sph" / f"{talk}.sph",
                split=split.name,
                text=from_stm(text),
                language="English",
                speaker=speaker,
                seconds=seconds,
            )
