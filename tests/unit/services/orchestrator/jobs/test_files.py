from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.orchestrator.domain import AudioBytes
from services.orchestrator.jobs.files import AudioFile, write_chunks
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import LimitExceededError, StoreError

PCM = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16_000, num_channels=1)


@contextmanager
def full_beyond(size_bytes: int) -> Iterator[None]:
    """The kernel refuses longer files of this process meanwhile, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


async def test_pieces_become_a_file_within_its_bound(tmp_path: Path) -> None:
    assert await write_chunks(tmp_path / "whole", pieces(10, 0, 20), max_bytes=30) == 30
    assert (tmp_path / "whole").read_bytes() == b"x" * 30
    with pytest.raises(LimitExceededError, match="more than 29"):
        await write_chunks(tmp_path / "long", pieces(10, 20), max_bytes=29)


async def test_a_full_disk_has_a_name(tmp_path: Path) -> None:
    with full_beyond(50_000):
        with pytest.raises(StoreError, match="no space is left") as caught:
            await write_chunks(tmp_path / "upload", pieces(40_000, 40_000), max_bytes=10**6)
        assert caught.value.reason == "STORE_FULL"
        result = AudioFile(tmp_path / "result")
        with pytest.raises(StoreError, match="no space is left"):
            await result.add(AudioBytes(content=b"x" * 60_000, format=PCM, start_seconds=0))
        result.close()
