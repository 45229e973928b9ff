"""Audio at the edge of the client: what callers may hand in, and what they get back."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import InvalidAudioError, InvalidInputError
from uniaudio.v1 import audio_pb2

AudioSource: TypeAlias = "bytes | os.PathLike[str] | str | NDArray[np.generic] | audio_pb2.Audio"
"""A file's bytes, its path, samples as an array (with `sample_rate`), or the message itself."""

OutputFormat = Literal["pcm", "pcm_f32", "wav", "flac", "ogg", "mp3", "opus"]
"""How answers are written: raw 16-bit or float32 samples, or one file in pieces."""

_ENCODINGS: dict[OutputFormat, audio_pb2.AudioEncoding] = {
    "pcm": audio_pb2.AUDIO_ENCODING_PCM_S16LE,
    "pcm_f32": audio_pb2.AUDIO_ENCODING_PCM_F32LE,
    "wav": audio_pb2.AUDIO_ENCODING_WAV,
    "flac": audio_pb2.AUDIO_ENCODING_FLAC,
    "ogg": audio_pb2.AUDIO_ENCODING_OGG,
    "mp3": audio_pb2.AUDIO_ENCODING_MP3,
    "opus": audio_pb2.AUDIO_ENCODING_OPUS,
}
_WAV_HEADER_BYTES = 44
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)


@dataclass(frozen=True, kw_only=True)
class AudioPiece:
    """The next piece of an answer's audio; pieces put end to end are the whole.

    `content` holds mono samples for the raw formats; for file formats, a part of one valid file.
    `start_seconds` says where it belongs (0 for file formats).
    """

    content: bytes
    format: OutputFormat
    sample_rate: int
    start_seconds: float

    @property
    def waveform(self) -> NDArray[np.float32]:
        """Its samples, float32 `(num_samples,)`; InvalidInputError for file formats."""
        return samples_of(self.content, self.format)


def samples_of(content: bytes, format: OutputFormat) -> NDArray[np.float32]:
    """The float32 samples `(num_samples,)` in raw bytes of format "pcm" or "pcm_f32"."""
    if format == "pcm_f32":
        return np.frombuffer(content, dtype="<f4").astype(np.float32, copy=False)
    if format == "pcm":
        return np.frombuffer(content, dtype="<i2").astype(np.float32) / 32768.0
    raise InvalidInputError(
        f"bytes of format {format!r} are a piece of a file, not samples; ask for 'pcm_f32', or keep the whole file",
        value=format,
        limit="pcm, pcm_f32",
        remedy="ask for 'pcm_f32'",
    )


def audio_message(audio: AudioSource, sample_rate: int | None = None) -> audio_pb2.Audio:
    """The request message of a recording.

    Arrays are `(num_samples,)` or `(num_samples, num_channels)`, float in [-1, 1] or int16, and need
    `sample_rate` in Hz; files and bytes carry their own. Errors: InvalidAudioError, LimitExceededError
    (both before anything is sent), OSError.
    """
    message = message_of(audio, sample_rate)
    AudioLimits().check_encoded_bytes(len(message.content))
    return message


def message_of(audio: AudioSource, sample_rate: int | None) -> audio_pb2.Audio:
    """As `audio_message`, for a recording of any size that is in memory already."""
    if isinstance(audio, audio_pb2.Audio):
        return audio
    if isinstance(audio, np.ndarray):
        return _array_message(audio, sample_rate)
    if sample_rate is not None:
        raise InvalidInputError(
            f"sample_rate={sample_rate} goes with arrays only: a file says its own rate; leave it out",
            value=sample_rate,
            limit="no sample_rate",
            remedy="leave sample_rate out",
        )
    if isinstance(audio, bytes):
        return audio_pb2.Audio(content=audio)
    path = Path(audio)
    # Looked at before it is read, so that a wrong path to something huge costs nothing.
    AudioLimits().check_encoded_bytes(path.stat().st_size)
    return audio_pb2.Audio(content=path.read_bytes())


def _array_message(samples: NDArray[np.generic], sample_rate: int | None) -> audio_pb2.Audio:
    if sample_rate is None:
        raise InvalidInputError(
            "an array of samples needs its rate: pass sample_rate=16000, for example",
            value="no sample_rate",
            limit="4000 to 192000 Hz",
            remedy="pass sample_rate",
        )
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= 8):
        raise InvalidAudioError(
            f"samples of shape {samples.shape} are neither (num_samples,) nor (num_samples, 1 to 8 channels); "
            "transpose or mix them down",
            value=samples.shape,
            limit="(num_samples,) or (num_samples, 1 to 8 channels)",
            remedy="transpose or mix down",
        )
    if samples.dtype == np.int16:
        encoding, content = audio_pb2.AUDIO_ENCODING_PCM_S16LE, samples.astype("<i2").tobytes()
    elif np.issubdtype(samples.dtype, np.floating):
        encoding, content = audio_pb2.AUDIO_ENCODING_PCM_F32LE, samples.astype("<f4").tobytes()
    else:
        raise InvalidAudioError(
            f"samples of type {samples.dtype} are not known; use floats in [-1, 1] or int16",
            value=samples.dtype,
            limit="floats or int16",
            remedy="convert to float32 or int16",
        )
    num_channels = samples.shape[1] if samples.ndim == 2 else 1
    layout = audio_pb2.AudioFormat(encoding=encoding, sample_rate=sample_rate, num_channels=num_channels)
    return audio_pb2.Audio(format=layout, content=content)


def output_message(format: OutputFormat, sample_rate: int | None) -> audio_pb2.AudioFormat:
    """The request message of a format for answers; without a rate, the model's own."""
    if format not in _ENCODINGS:
        raise InvalidInputError(
            f"output format {format!r} is not known; use one of {', '.join(OUTPUT_FORMATS)}",
            value=format,
            limit=", ".join(OUTPUT_FORMATS),
            remedy="use one of them",
        )
    return audio_pb2.AudioFormat(encoding=_ENCODINGS[format], sample_rate=sample_rate or 0)


def piece_of(chunk: audio_pb2.AudioChunk, asked: OutputFormat) -> AudioPiece:
    """An answer's chunk as a piece of the format that was asked for."""
    return AudioPiece(
        content=chunk.content,
        format=asked,
        sample_rate=chunk.format.sample_rate or 16000,
        start_seconds=chunk.start_seconds,
    )


def whole_file(content: bytes, format: OutputFormat) -> bytes:
    """The finished file: a WAV that was streamed gets its true length, which nobody knew when it began."""
    if format != "wav" or len(content) < _WAV_HEADER_BYTES:
        return content
    header = bytearray(content[:_WAV_HEADER_BYTES])
    struct.pack_into("<I", header, 4, len(content) - 8)
    struct.pack_into("<I", header, 40, len(content) - _WAV_HEADER_BYTES)
    return bytes(header) + content[_WAV_HEADER_BYTES:]
