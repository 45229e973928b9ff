"""Corpora of one file an utterance in folders by speaker, with transcripts in lists of their own.

LibriSpeech, AISHELL-1, AISHELL-3 and MagicData, as unpacked from their archives on OpenSLR (12, 33, 93, 68).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.data.manifest import Row, Word
from training.data.readers.collector import Collector, found, lines, malformed, pair, root
from training.data.readers.texts import without_marks


def librispeech(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<part>/<speaker>/<chapter>/<id>.flac` with `<speaker>-<chapter>.trans.txt` beside them.

    Word times are read where the published alignments (`<speaker>-<chapter>.alignment.txt`) were unpacked
    into the same folders.
    """
    corpus = root(folder, "LibriSpeech")
    for transcript in found(corpus, "*/*/*/*.trans.txt", "transcripts"):
        times = dict(_alignments(transcript))
        for place, line in lines(transcript):
            key, text = pair(line, place)
            yield from collector.row(
                id=key,
                audio=transcript.parent / f"{key}.flac",
                split=transcript.relative_to(corpus).parts[0],
                text=text,
                language="English",
                speaker=key.partition("-")[0],
                words=times.get(key, ()),
            )


def _alignments(transcript: Path) -> Iterator[tuple[str, tuple[Word, ...]]]:
    """Lines of `id ",WORD,,WORD" "end,end,..."`, an empty word being silence."""
    path = transcript.with_name(transcript.name.replace(".trans.txt", ".alignment.txt"))
    for place, line in lines(path) if path.is_file() else ():
        parts = line.replace('"', "").split()
        if len(parts) != 3 or parts[1].count(",") != parts[2].count(","):
            raise malformed(place, line, '\'id "words" "ends"\' with as many words as ends')
        try:
            ends = [float(end) for end in parts[2].split(",")]
        except ValueError as error:
            raise malformed(place, line, "ends in seconds") from error
        spans = zip(parts[1].split(","), [0.0, *ends[:-1]], ends, strict=True)
        yield parts[0], tuple(span for span in spans if span[0])


def aishell1(folder: Path, collector: Collector) -> Iterator[Row]:
    """`wav/<split>/<speaker>/<id>.wav`, all transcripts in `transcript/aishell_transcript_v0.8.txt`."""
    corpus = root(folder, "data_aishell")
    texts = {}
    for place, line in lines(corpus / "transcript" / "aishell_transcript_v0.8.txt"):
        key, text = pair(line, place)
        texts[key] = without_marks(text).replace(" ", "")
    for audio in found(corpus / "wav", "*/*/*.wav", "recordings; unpack wav/*.tar.gz"):
        yield from collector.row(
            id=audio.stem,
            audio=audio,
            split=audio.parts[-3],
            text=texts.get(audio.stem, ""),
            language="Chinese",
            speaker=audio.parts[-2],
        )


def aishell3(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<split>/wav/<speaker>/<id>.wav`; `<split>/content.txt` has `id.wav`, a tab, characters and their pinyin."""
    for content in found(folder, "*/content.txt", "transcripts of train and test"):
        for place, line in lines(content):
            name, tab, spoken = line.partition("\t")
            characters = spoken.split()[::2]
            if not tab:
                raise malformed(place, line, "'<id>.wav', a tab, and characters with their pinyin")
            speaker = name[:7]
            yield from collector.row(
                id=Path(name).stem,
                audio=content.parent / "wav" / speaker / name,
                split=content.parent.name,
                text="".join(characters),
                language="Chinese",
                speaker=speaker,
            )


def magicdata(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<split>/<speaker>/<id>.wav`; `<split>/TRANS.txt` has `id.wav`, speaker and text under a header line."""
    for transcript in found(folder, "*/TRANS.txt", "transcripts of train, dev and test"):
        for place, line in lines(transcript):
            if line.startswith("UtteranceID"):
                continue
            parts = line.split(maxsplit=2)
            if len(parts) < 2:
                raise malformed(place, line, "'<id>.wav', speaker and text")
            name, speaker = parts[:2]
            yield from collector.row(
                id=Path(name).stem,
                audio=transcript.parent / speaker / name,
                split=transcript.parent.name,
                text=without_marks("".join(parts[2:])),
                language="Chinese",
                speaker=speaker,
            )
