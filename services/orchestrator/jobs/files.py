"""Objects as local files: pieces go to disk, not into memory."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory

from services.orchestrator.domain import AudioBytes
from uniaudio.audio.encode import wav_header
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import LimitExceededError, ModelOutputError
from uniaudio.runtime.object_store import disk_error

PIECE_BYTES = 1 << 20
_WAV_HEADER_BYTES = 44


_PREFIX = "uniaudio-job-"


def remove_left_behind(folder: Path, *, older_than_seconds: float) -> None:
    """Removes scratch folders of processes that were killed."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):  # its process ends just now
            if time.time() - path.stat().st_mtime > older_than_seconds:
                shutil.rmtree(path)


@contextmanager
def scratch(folder: Path | None = None) -> Iterator[Path]:
    """A folder of one's own that is gone afterwards."""
    with TemporaryDirectory(prefix=_PREFIX, dir=folder) as name:
        yield Path(name)


async def write_chunks(path: Path, chunks: AsyncIterable[bytes], *, max_bytes: int) -> int:
    """Writes a new file; its size in bytes. LimitExceededError where that is too much, StoreError on a full disk."""
    size_bytes = 0
    with path.open("xb", buffering=0) as file:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise LimitExceededError(
                    f"the recording has more than {max_bytes} bytes; compress or cut it",
                    value=f"more than {max_bytes} bytes",
                    limit=f"{max_bytes} bytes",
                    remedy="compress or cut it",
                )
            await asyncio.to_thread(_write, file, path, chunk)
    return size_bytes


def _write(file: FileIO, path: Path, data: bytes) -> None:
    """All of it; raises StoreError where the disk is full."""
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise disk_error(error, path) from error


async def read_chunks(path: Path, offset: int) -> AsyncGenerator[bytes, None]:
    """The bytes of a file from `offset` on."""
    with path.open("rb") as file:
        file.seek(offset)
        while data := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield data


class AudioFile:
    """An answer's audio as a file, piece by piece. A WAV gets its true length in the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format: AudioFormat | None = None
        self.size_bytes = 0
        self._file = path.open("xb", buffering=0)

    async def add(self, piece: AudioBytes) -> None:
        """Writes the next piece."""
        self.format = piece.format
        self.size_bytes += len(piece.content)
        await asyncio.to_thread(_write, self._file, self.path, piece.content)

    def finish(self) -> AudioFormat:
        """How the whole file is written; raises ModelOutputError where there was no audio."""
        if self.format is None:
            raise ModelOutputError(
                "the edit made no audio at all; try another seed or another instruction",
                value="0 bytes",
                limit="some audio",
                remedy="try another seed or another instruction",
            )
        self.close()
        if self.format.encoding is AudioEncoding.WAV:
            num_samples = (self.size_bytes - _WAV_HEADER_BYTES) // 2
            with self.path.open("r+b") as file:
                file.write(wav_header(self.format.sample_rate, num_samples))
        return self.format

    def close(self) -> None:
        """Closes the file, whole or not."""
        self._file.close()
