"""Corpora described as Kaldi does: `wav.scp`, `text`, and perhaps `segments` and `utt2...` lists in a folder.

KeSpeech and SlideSpeech.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.data.manifest import Row
from training.data.readers.collector import Collector, found, lines, malformed, pair
from training.data.readers.texts import without_marks
from uniaudio.errors import InvalidInputError


def kespeech(folder: Path, collector: Collector) -> Iterator[Row]:
    """`Tasks/ASR/<part>/{wav.scp,text,utt2spk,utt2subdialect}`, recordings relative to the corpus's folder."""
    for scp in found(folder, "Tasks/ASR/*/wav.scp", "lists of recordings"):
        yield from kaldi_folder(scp.parent, folder, collector, language="Chinese")


def slidespeech(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<subset>/{wav.scp,segments,text}` for the subsets (`train_L95`, `train_S95`, `dev`, `test`).

    Of this layout only the place of the recordings could be confirmed (the authors' download scripts write
    `<group>/wav/<category>/<id>.wav` at 16 kHz); that the transcripts (OpenSLR 144) come as Kaldi lists is
    taken from how the authors' toolkit uses them. Paths in `wav.scp` are relative to the corpus's folder.
    """
    for scp in found(folder, "*/wav.scp", "lists of recordings"):
        yield from kaldi_folder(scp.parent, folder, collector, language="English")


def kaldi_folder(data: Path, base: Path, collector: Collector, *, language: str) -> Iterator[Row]:
    """The utterances that the lists in `data` describe; relative recordings lie in `base`.

    Raises InvalidInputError for recordings that are the output of a command (`... |`): those must be made
    files first.
    """
    recordings = dict(_table(data / "wav.scp"))
    texts = dict(_table(data / "text"))
    speakers, dialects = _optional(data / "utt2spk"), _optional(data / "utt2subdialect")
    for key, recording, seconds in _segments(data, recordings):
        if recording not in recordings:
            collector.skip("its recording is not in wav.scp", key)
            continue
        if recordings[recording].endswith("|"):
            raise InvalidInputError(
                f"{data / 'wav.scp'}: {recording!r} is a command ({recordings[recording][:60]}); write its output "
                "to a file and name that"
            )
        yield from collector.row(
            id=key,
            audio=base / recordings[recording],
            split=data.name,
            text=without_marks(texts.get(key, "")),
            language=language,
            speaker=speakers.get(key, ""),
            dialect=dialects.get(key, ""),
            seconds=seconds,
        )


def _segments(
    data: Path, recordings: dict[str, str]
) -> Iterator[tuple[str, str, tuple[float, float] | None]]:
    """Each utterance, its recording, and its seconds there; without `segments` each recording is one."""
    path = data / "segments"
    if not path.is_file():
        yield from ((key, key, None) for key in recordings)
        return
    for place, line in lines(path):
        try:
            key, recording, start, end = line.split()
            yield key, recording, (float(start), float(end))
        except ValueError as error:
            raise malformed(place, line, "'utterance recording start_s end_s'") from error


def _table(path: Path) -> Iterator[tuple[str, str]]:
    return (pair(line, place) for place, line in lines(path))


def _optional(path: Path) -> dict[str, str]:
    return dict(_table(path)) if path.is_file() else {}
