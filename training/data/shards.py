"""Corpora as tar shards: few large files, read in order or by index, without unpacking.

Every recording becomes one sample of its shard, `N.flac` (16 bits, one channel) and `N.json` (its row), as
WebDataset has it; beside `x.tar` lie its index `x.idx` and its rows `x.jsonl`. The tar appears last, when the
shard is whole, so an interrupted run goes on after the last whole one. `manifest.jsonl` appears when all are.

`python -m training.data.shards MANIFEST FOLDER` writes them.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import tarfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, TypeVar

import numpy as np
import soundfile
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from training.data.manifest import Manifest, ManifestWriter, Row, read_manifest
from training.data.pipeline import load_window
from training.data.recording import read_mono, recording_bytes
from training.data.shard_index import Place, format_index, index_path
from training.data.window import MAX_SECONDS, stretch
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError, UniaudioError

MANIFEST_NAME = "manifest.jsonl"
_DEFAULT_SHARD_BYTES = 1 << 29
_BLOCK = 512  # of a tar: each member is a header of one block and data of whole ones
_ENDING = 10240  # what closes a tar at most

T = TypeVar("T")


@dataclass
class ShardReport:
    """What a run wrote, and what it could not write, by reason; `already` were there before."""

    already: int = 0
    written: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


class ShardWriter:
    """Writes rows and their FLAC bytes into shards of at most `max_shard_bytes`, going on after whole ones."""

    def __init__(self, folder: Path, *, max_shard_bytes: int = _DEFAULT_SHARD_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes = folder, max_shard_bytes
        self._shard_number = next(n for n in itertools.count() if not self._tar(n).is_file())
        self.num_rows = 0
        self.last_row: Row | None = None
        for number in range(self._shard_number):
            rows = Manifest(self._tar(number).with_suffix(".jsonl"))
            self.num_rows += len(rows)
            self.last_row = rows[len(rows) - 1]
        self._rows: list[Row] = []
        self._samples: list[dict[str, Place]] = []
        self._open: tarfile.TarFile | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._publish()
        elif self._open is not None:
            self._open.close()
            self._part().unlink()

    def write(self, row: Row, flac: bytes) -> Row:
        """Adds a recording; the row as it is in the shard. `row` describes the FLAC: its rate and length."""
        key = f"{self.num_rows:09d}"
        shard = self._tar(self._shard_number)
        placed = replace(row, audio=shard, member=f"{key}.flac", start_sample=0, channel=None)
        description = placed.to_json(self._folder).encode()
        size = sum(_BLOCK + -(-len(content) // _BLOCK) * _BLOCK for content in (flac, description))
        if size + _ENDING > self._max_bytes:
            raise LimitExceededError(
                f"{row.id!r} has {size} bytes, a shard at most {self._max_bytes}; raise the shard size or cut it"
            )
        if self._open is not None and self._open.offset + size + _ENDING > self._max_bytes:
            self._publish()
            return self.write(row, flac)
        self._samples.append({f"{key}.flac": self._add(f"{key}.flac", flac)})
        self._samples[-1][f"{key}.json"] = self._add(f"{key}.json", description)
        self._rows.append(placed)
        self.num_rows += 1
        self.last_row = placed
        return placed

    def _add(self, name: str, content: bytes) -> Place:
        if self._open is None:
            self._open = tarfile.open(self._part(), "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        offset = self._open.offset + _BLOCK
        info = tarfile.TarInfo(name)
        info.size = len(content)
        self._open.addfile(info, io.BytesIO(content))
        return offset, len(content)

    def _publish(self) -> None:
        if self._open is None:
            return
        self._open.close()
        shard = self._tar(self._shard_number)
        index_path(shard).write_text(format_index(self._samples), encoding="utf-8")
        with ManifestWriter(shard.with_suffix(".jsonl")) as manifest:
            for row in self._rows:
                manifest.write(row)
        self._part().replace(shard)
        self._shard_number += 1
        self._open, self._rows, self._samples = None, [], []

    def _tar(self, number: int) -> Path:
        return self._folder / f"shard-{number:06d}.tar"

    def _part(self) -> Path:
        return self._tar(self._shard_number).with_suffix(".tar.part")


def shard_rows(
    rows: Iterable[Row],
    folder: Path,
    *,
    resample: bool = False,
    max_shard_bytes: int = _DEFAULT_SHARD_BYTES,
    num_threads: int = 1,
    progress: Callable[[int], None] = lambda num_rows: None,
) -> ShardReport:
    """Writes the recordings of rows (whose ids differ) into shards, at 16 kHz where `resample`, and the manifest.

    What cannot be read is counted by reason and left out. `progress` is told how many rows were taken. Raises
    InvalidInputError where the folder holds shards of other rows.
    """
    report = ShardReport()
    with ShardWriter(folder, max_shard_bytes=max_shard_bytes) as writer:
        report.already = writer.num_rows
        remaining, num_passed = _after(rows, writer, folder)
        progress(num_passed)
        for encoded in _in_order(remaining, lambda row: _try_encode(row, resample), num_threads):
            if isinstance(encoded, str):
                report.skipped[encoded] += 1
            else:
                writer.write(*encoded)
                report.written += 1
            progress(1)
    _write_manifest(folder)
    return report


def damaged(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows whose recordings are no longer the bytes that their `sha256` was taken of."""
    for row in rows:
        if row.sha256 and hashlib.sha256(recording_bytes(row.audio, row.member)).hexdigest() != row.sha256:
            yield row


def encode_flac(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """One channel `(num_samples,)` as 16-bit FLAC; what is above full scale is clipped."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1.0, 1.0), sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _try_encode(row: Row, resample: bool) -> tuple[Row, bytes] | str:
    """The row of the encoded recording and its bytes, or why there is none."""
    if row.seconds > MAX_SECONDS:
        return f"longer than {MAX_SECONDS:g} s"
    rate = MODEL_SAMPLE_RATE if resample else row.sample_rate
    try:
        if resample:
            waveform = load_window(row, stretch(row))
        else:
            waveform = read_mono(row, row.start_sample, row.num_samples)
    except InvalidAudioError:
        return "the recording cannot be read"
    except InvalidInputError:
        return "too short to be resampled"
    flac = encode_flac(waveform, rate)
    digest = hashlib.sha256(flac).hexdigest()
    words = tuple((word, start, min(end, len(waveform) / rate)) for word, start, end in row.words)
    return replace(row, sample_rate=rate, num_samples=len(waveform), sha256=digest, words=words), flac


def _after(rows: Iterable[Row], writer: ShardWriter, folder: Path) -> tuple[Iterator[Row], int]:
    """The rows behind the last one that is in a whole shard, and how many were passed over."""
    remaining = iter(rows)
    if writer.last_row is None:
        return remaining, 0
    for position, row in enumerate(remaining, 1):
        if row.id == writer.last_row.id and position >= writer.num_rows:
            return remaining, position
    raise InvalidInputError(
        f"{folder} holds shards whose last row is {writer.last_row.id!r}, which is not among these rows; "
        "choose another folder"
    )


def _in_order(items: Iterator[Row], work: Callable[[Row], T], num_threads: int) -> Iterator[T]:
    """The results in the items' order; no more than a few a thread are held."""
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 4 * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _write_manifest(folder: Path) -> None:
    with ManifestWriter(folder / MANIFEST_NAME) as manifest:
        for path in sorted(folder.glob("shard-*.jsonl")):
            for row in read_manifest(path):
                manifest.write(row)


def main(
    manifest: Annotated[Path, typer.Argument(help="The rows to cut out and pack.")],
    folder: Annotated[Path, typer.Argument(help="Where to write, or go on writing, the shards.")],
    resample: Annotated[bool, typer.Option(help="Store at 16 kHz instead of the recording's rate.")] = False,
    max_mib: Annotated[int, typer.Option(help="The largest shard, in MiB.", min=1)] = 512,
    threads: Annotated[int, typer.Option(help="Recordings that are encoded at once.", min=1)] = 2,
) -> None:
    """Pack the recordings of a manifest into tar shards; an interrupted run goes on where it stopped."""
    console = Console(stderr=True)
    try:
        rows = Manifest(manifest)
        with Progress(console=console) as bars:
            bar = bars.add_task("packing recordings", total=len(rows))
            report = shard_rows(
                rows,
                folder,
                resample=resample,
                max_shard_bytes=max_mib << 20,
                num_threads=threads,
                progress=lambda count: bars.advance(bar, count),
            )
    except UniaudioError as error:
        console.print(error.message, markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    console.print(f"{report.written} recordings written, {report.already} were there", soft_wrap=True)
    for reason, count in report.skipped.most_common():
        console.print(f"{count} left out: {reason}")


if __name__ == "__main__":
    typer.run(main)
