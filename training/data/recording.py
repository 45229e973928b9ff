"""Recordings where manifests say they are: whole files or members of tar shards, read by stretches."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.data.manifest import Row
from training.data.shard_index import locate
from uniaudio.errors import InvalidAudioError, LimitExceededError

MAX_MEMBER_BYTES = 1 << 28
_BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says."""

    sample_rate: int
    num_samples: int
    num_channels: int


def audio_info(audio: Path, member: str = "") -> AudioInfo:
    """The header of a recording; raises InvalidAudioError where it cannot be read or holds nothing."""
    with open_recording(audio, member) as file:
        info = AudioInfo(file.samplerate, file.frames, file.channels)
    if not 0 < info.num_samples < 2**40:
        raise InvalidAudioError(f"{audio} {member}: its header tells no length; convert it to FLAC")
    return info


def recording_bytes(audio: Path, member: str = "") -> bytes:
    """The encoded recording; LimitExceededError above `MAX_MEMBER_BYTES`, InvalidAudioError if missing."""
    try:
        offset, size = locate(audio, member) if member else (0, audio.stat().st_size)
        if size > MAX_MEMBER_BYTES:
            raise LimitExceededError(
                f"{audio} {member} has {size} bytes, the limit is {MAX_MEMBER_BYTES}; cut the corpus into shards "
                "with `python -m training.data.shards`"
            )
        with audio.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise InvalidAudioError(f"{audio} {member} cannot be read: {error}; restore the file") from error
    if len(content) < size:
        raise InvalidAudioError(
            f"{audio} {member}: {len(content)} of {size} bytes are there; restore the file"
        )
    return content


@contextmanager
def open_recording(audio: Path, member: str = "") -> Iterator[soundfile.SoundFile]:
    """The recording, opened; of a plain file only what is read is loaded. Raises InvalidAudioError."""
    source = io.BytesIO(recording_bytes(audio, member)) if member else str(audio)
    with opened(source, f"{audio}:{member}" if member else str(audio)) as file:
        yield file


@contextmanager
def opened(source: io.BytesIO | str, place: str) -> Iterator[soundfile.SoundFile]:
    """The recording in a file or in memory, opened; raises InvalidAudioError naming its place."""
    try:
        file = soundfile.SoundFile(source)
    except soundfile.LibsndfileError as error:
        why = str(error.error_string).strip()
        raise InvalidAudioError(
            f"{place} is no recording that can be read: {why}; restore or convert it"
        ) from error
    with file:
        yield file


def read_mono(row: Row, start: int, count: int) -> NDArray[np.float32]:
    """`count` samples of the recording from `start` on, `(count,)`, at its own rate, in one channel.

    Raises InvalidAudioError where the recording is not what the row says.
    """
    with open_recording(row.audio, row.member) as file:
        check_recording(row, file)
        out = np.empty(count, np.float32)
        position = 0
        try:
            file.seek(start)
            while position < count:
                wanted = min(_BLOCK_FRAMES, count - position)
                block = file.read(wanted, dtype="float32", always_2d=True)
                if not len(block):
                    raise _too_short(row, start + position)
                mono = block.mean(axis=1) if row.channel is None else block[:, row.channel]
                out[position : position + len(block)] = mono
                position += len(block)
        except soundfile.LibsndfileError as error:
            raise _too_short(row, start + position) from error
    return out


def check_recording(row: Row, file: soundfile.SoundFile) -> None:
    """Raises InvalidAudioError where the header is not what the row says."""
    if file.samplerate != row.sample_rate:
        raise InvalidAudioError(
            f"{row.place} has {file.samplerate} Hz, the manifest says {row.sample_rate} Hz; write the manifest anew"
        )
    if row.channel is not None and row.channel >= file.channels:
        raise InvalidAudioError(
            f"{row.place} has {file.channels} channels, the manifest asks for channel {row.channel}; write it anew"
        )
    if row.start_sample + row.num_samples > file.frames:
        raise _too_short(row, file.frames)


def _too_short(row: Row, num_samples: int) -> InvalidAudioError:
    return InvalidAudioError(
        f"{row.place} can be read up to sample {num_samples}, the manifest says that {row.id!r} ends at "
        f"{row.start_sample + row.num_samples}; restore the file or write the manifest anew"
    )
