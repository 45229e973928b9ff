"""What every reader builds on: rows from facts, what was left out and why, and lines with their places."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from training.data.manifest import SLACK_SECONDS, Row, Word
from training.data.recording import AudioInfo, audio_info
from uniaudio.errors import InvalidAudioError, InvalidInputError

_EXAMPLES = 3  # of each reason that are kept
_OVERSHOOT_SECONDS = 0.1  # a segment may end this much after its recording: it is shortened


class Collector:
    """Makes the rows of one corpus and counts what it leaves out, by reason."""

    def __init__(self, corpus: str) -> None:
        self.corpus = corpus
        self.skipped: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._info = lru_cache(maxsize=256)(audio_info)

    def skip(self, reason: str, what: str) -> None:
        """Counts something that becomes no row."""
        self.skipped[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(what)

    def row(
        self,
        *,
        id: str,
        audio: Path,
        split: str,
        text: str,
        language: str,
        member: str = "",
        speaker: str = "",
        dialect: str = "",
        channel: int | None = None,
        seconds: tuple[float, float] | None = None,
        words: tuple[Word, ...] = (),
    ) -> Iterator[Row]:
        """The row of a recording, or of the stretch `(start, end)` of it; nothing where it is skipped.

        Of the recording only the header is read.
        """
        text = " ".join(text.split())
        try:
            if not text:
                raise _LeftOutError("it has no text", id)
            info = self._header(audio, member)
            start, end = _span(f"{id}: {seconds} in {audio}", info, seconds)
        except _LeftOutError as error:
            return self.skip(error.reason, error.what)
        yield Row(
            id=id, audio=audio, member=member, channel=channel,
            sample_rate=info.sample_rate, start_sample=start, num_samples=end - start,
            corpus=self.corpus, split=split, text=text, language=language, dialect=dialect, speaker=speaker,
            words=self._fitting(words, (end - start) / info.sample_rate, id),
        )  # fmt: skip

    def _header(self, audio: Path, member: str) -> AudioInfo:
        if not audio.is_file():
            raise _LeftOutError("the recording is missing", str(audio))
        try:
            return self._info(audio, member)
        except InvalidAudioError as error:
            raise _LeftOutError("the recording cannot be read", error.message) from error

    def _fitting(self, words: tuple[Word, ...], seconds: float, id: str) -> tuple[Word, ...]:
        """The word times, or none where they do not fit the recording."""
        if words and words[-1][2] > seconds + SLACK_SECONDS:
            self.skip("its word times end after it; the row is kept without them", f"{id}: {words[-1]}")
            return ()
        return words


class _LeftOutError(Exception):
    """Something becomes no row; never leaves this file."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(reason)
        self.reason, self.what = reason, what


def _span(what: str, info: AudioInfo, seconds: tuple[float, float] | None) -> tuple[int, int]:
    """First sample and end of a stretch of a recording, or of all of it."""
    if seconds is None:
        return 0, info.num_samples
    if not (0 <= seconds[0] < seconds[1] < math.inf):
        raise _LeftOutError("the segment holds nothing", what)
    start, end = (round(time * info.sample_rate) for time in seconds)
    if end > info.num_samples + _OVERSHOOT_SECONDS * info.sample_rate:
        raise _LeftOutError("the segment ends after the recording", what)
    end = min(end, info.num_samples)
    if start >= end:
        raise _LeftOutError("the segment holds nothing", what)
    return start, end


def root(folder: Path, *inside: str) -> Path:
    """`folder`, or the first of its subfolders `inside` that is there: where archives unpack to."""
    return next((folder / name for name in inside if (folder / name).is_dir()), folder)


def found(folder: Path, pattern: str, holds: str) -> list[Path]:
    """What matches the pattern, sorted; raises InvalidInputError where nothing does."""
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise InvalidInputError(
            f"{folder} has no {pattern} ({holds}); give the folder that the corpus was unpacked to"
        )
    return paths


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not empty, and its place `file:line` for messages; UTF-8, with or without a mark."""
    if not path.is_file():
        raise InvalidInputError(f"{path} is missing; give the folder that the whole corpus was unpacked to")
    with path.open("rb") as file:
        for number, content in enumerate(file, 1):
            place = f"{path}:{number}"
            try:
                line = content.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise InvalidInputError(
                    f"{place}: {content[:40]!r} is not UTF-8; restore the file"
                ) from error
            if line.strip():
                yield place, line


def pair(line: str, place: str) -> tuple[str, str]:
    """A key and the rest of the line behind white space, perhaps nothing."""
    key, *rest = line.split(maxsplit=1)
    return key, rest[0] if rest else ""


def malformed(place: str, value: str, needed: str) -> InvalidInputError:
    """The error for a line that is not what the layout has there."""
    return InvalidInputError(f"{place}: {value[:80]!r}; {needed} is needed: restore the file")
