"""Manifests: one utterance a line of JSON, checked when read, found by index without loading the file.

A row says where the samples are (a file, or a member of a shard; the whole of it or a stretch) and what is
said in them. Audio paths that are not absolute are relative to the manifest's folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uniaudio.errors import InvalidInputError

Word = tuple[str, float, float]
SLACK_SECONDS = 0.05  # aligners round: a last word may end this much after its recording
_SCAN_BYTES = 1 << 22
_MAX_LINE_BYTES = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Row:
    """One utterance of a corpus.

    `num_samples` counts samples a channel at the file's own `sample_rate` (Hz), beginning at `start_sample`
    of the recording. `member` names the recording in the tar shard `audio`; empty: `audio` is the recording.
    `channel` picks one of several, None averages them. `words` are `(word, start_s, end_s)` from the
    utterance's beginning. `sha256` is of the recording's bytes. Empty texts mean that nothing is known.
    """

    id: str
    audio: Path
    sample_rate: int
    num_samples: int
    corpus: str
    split: str
    text: str = ""
    language: str = ""
    dialect: str = ""
    speaker: str = ""
    start_sample: int = 0
    member: str = ""
    channel: int | None = None
    words: tuple[Word, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        for name, minimum in (("sample_rate", 1), ("num_samples", 1), ("start_sample", 0)):
            if getattr(self, name) < minimum:
                raise _refused(name, getattr(self, name), f"a whole number from {minimum} on is needed")
        if self.channel is not None and self.channel < 0:
            raise _refused("channel", self.channel, "channels are counted from 0")
        for name in ("id", "corpus", "split"):
            if not getattr(self, name):
                raise _refused(name, "", "it must not be empty")
        last = 0.0
        for word, start, end in self.words:
            if not 0 <= last <= start <= end <= self.seconds + SLACK_SECONDS:
                raise _refused(
                    "words", (word, start, end), f"times must rise and stay within {self.seconds:.3f} s"
                )
            last = start

    @property
    def seconds(self) -> float:
        """How long the utterance lasts."""
        return self.num_samples / self.sample_rate

    @property
    def place(self) -> str:
        """Where the recording is, for messages."""
        return f"{self.audio}:{self.member}" if self.member else str(self.audio)

    def to_json(self, folder: Path | None = None) -> str:
        """One line without its end; an `audio` inside `folder` is written relative to it."""
        values: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is MISSING or value != field.default:
                values[field.name] = value
        inside = folder is not None and self.audio.is_relative_to(folder)
        values["audio"] = str(self.audio.relative_to(folder) if inside and folder else self.audio)
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str | bytes, folder: Path) -> Row:
        """The row of a line; raises InvalidInputError naming field, value and remedy."""
        try:
            values = json.loads(line)
        except ValueError as error:
            raise InvalidInputError(f"not JSON ({error}); write one object a line") from error
        if not isinstance(values, Mapping):
            raise InvalidInputError(f"{str(values)[:80]!r} is not an object; write one object a line")
        checked = {name: _checked(name, value) for name, value in values.items()}
        for field in fields(cls):
            if field.default is MISSING and field.name not in checked:
                raise InvalidInputError(f"field {field.name!r} is missing; every row must give it")
        checked["audio"] = folder / checked["audio"]
        return cls(**checked)


def _refused(name: str, value: object, remedy: str) -> InvalidInputError:
    return InvalidInputError(f"field {name!r} is {value!r}; {remedy}")


_TEXTS = frozenset(
    {"id", "audio", "corpus", "split", "text", "language", "dialect", "speaker", "member", "sha256"}
)
_NUMBERS = frozenset({"sample_rate", "num_samples", "start_sample", "channel"})


def _checked(name: str, value: Any) -> Any:
    if name in _TEXTS:
        if not isinstance(value, str):
            raise _refused(name, value, "a text is needed")
    elif name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _refused(name, value, "a whole number is needed")
    elif name == "words":
        return _words(value)
    else:
        known = ", ".join(field.name for field in fields(Row))
        raise InvalidInputError(f"field {name!r} is not known; there are {known}")
    return value


def _words(value: Any) -> tuple[Word, ...]:
    words = []
    for item in value if isinstance(value, list) else [value]:
        match item:
            case [str(word), int() | float() as start, int() | float() as end]:
                words.append((word, float(start), float(end)))
            case _:
                raise _refused("words", item, "a list of [word, start_s, end_s] is needed")
    return tuple(words)


class ManifestWriter:
    """Writes rows one by one; the file appears under its name when the `with` block ends well, else not."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        self._file: IO[str] | None = None

    def __enter__(self) -> ManifestWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("w", encoding="utf-8", newline="\n")
        return self

    def write(self, row: Row) -> None:
        """Adds a row."""
        assert self._file is not None, "write inside the with block"
        self._file.write(row.to_json(self.path.parent) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())
        if kind is None:
            self._part.replace(self.path)
        else:
            self._part.unlink()


def read_manifest(path: Path | str) -> Iterator[Row]:
    """The rows in order; raises InvalidInputError naming file, line, field, value and remedy."""
    manifest = Path(path)
    with _opened(manifest) as file:
        for number, line in enumerate(file, 1):
            yield _row(manifest, number, line)


class Manifest:
    """A manifest as a sequence: only where its lines begin is held in memory. Safe across threads."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with _opened(self.path) as file:
            self._starts = _line_starts(file)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {self.path}, which has {len(self)}")
        start, end = int(self._starts[index]), int(self._starts[index + 1])
        if end - start > _MAX_LINE_BYTES:
            raise InvalidInputError(
                f"{self.path}:{index + 1}: {end - start} bytes, a row has at most {_MAX_LINE_BYTES}; split it"
            )
        with _opened(self.path) as file:
            file.seek(start)
            return _row(self.path, index + 1, file.read(end - start))

    def __iter__(self) -> Iterator[Row]:
        return read_manifest(self.path)

    def lengths(self, sample_rate: int) -> NDArray[np.int64]:
        """Samples of every row `(num_rows,)` at `sample_rate`, rounded down: what batches are planned with."""
        counts = (row.num_samples * sample_rate // row.sample_rate for row in self)
        return np.fromiter(counts, np.int64, len(self))


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"{path} is missing; write it with `python -m training.data.readers`"
        ) from error


def _row(path: Path, number: int, line: bytes) -> Row:
    try:
        return Row.from_json(line, path.parent)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}:{number}: {error.message}") from error


def _line_starts(file: IO[bytes]) -> NDArray[np.int64]:
    """Where each line begins, and at last where the file ends."""
    pieces, position = [np.zeros(1, np.int64)], 0
    while block := file.read(_SCAN_BYTES):
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        pieces.append(ends.astype(np.int64) + position + 1)
        position += len(block)
    starts = np.concatenate(pieces)
    return starts if starts[-1] == position else np.append(starts, position)
