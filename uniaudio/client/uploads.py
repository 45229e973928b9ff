"""Recordings on their way to the service, piece by piece: a file is never in memory as a whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uniaudio.client.audio import AudioSource, message_of
from uniaudio.errors import LimitExceededError
from uniaudio.v1 import audio_pb2, jobs_pb2

MAX_UPLOAD_BYTES = 1 << 30
_PIECE_BYTES = 1 << 18


@dataclass(frozen=True)
class Upload:
    """A recording that can be sent, and sent again: its content is a file, or bytes that are there already."""

    content: Path | bytes
    format: audio_pb2.AudioFormat
    sha256: str

    def messages(self) -> Iterator[jobs_pb2.UploadRecordingRequest]:
        """The configuration, then the content."""
        config = jobs_pb2.UploadRecordingConfig(format=self.format, sha256=self.sha256)
        yield jobs_pb2.UploadRecordingRequest(config=config)
        for piece in _pieces(self.content):
            yield jobs_pb2.UploadRecordingRequest(content=piece)


def open_upload(audio: AudioSource, sample_rate: int | None = None) -> Upload:
    """A recording by its path, a file's bytes, or an array with its `sample_rate` in Hz.

    Reads a file once for its hash. Errors: InvalidAudioError, LimitExceededError, OSError.
    """
    if isinstance(audio, str | os.PathLike) and sample_rate is None:
        path = Path(audio)
        _check_size(path.stat().st_size)
        return Upload(path, audio_pb2.AudioFormat(), _hash(path))
    message = message_of(audio, sample_rate)
    _check_size(len(message.content))
    return Upload(message.content, message.format, _hash(message.content))


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_UPLOAD_BYTES:
        raise LimitExceededError(
            f"the recording has {size_bytes} bytes, the limit is {MAX_UPLOAD_BYTES}; send FLAC, OGG or MP3, or cut it",
            value=size_bytes,
            limit=MAX_UPLOAD_BYTES,
            remedy="compress or cut the recording",
        )


def _hash(content: Path | bytes) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield from (content[start : start + _PIECE_BYTES] for start in range(0, len(content), _PIECE_BYTES))
        return
    with content.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
