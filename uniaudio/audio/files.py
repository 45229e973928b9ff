"""Recordings as bytes to waveforms: any rate, any channel count, checked before anything is unpacked.

Nothing of a recording is decoded before its size, its declared layout and its declared length were found to
be within the limits; decoding then goes block by block, so that a file which unpacks to more than it said
is stopped at the limit.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from uniaudio.audio.formats import AudioEncoding, Content, recognise
from uniaudio.audio.headers import Declared, inspect_flac, inspect_ogg, inspect_wav, truncated
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.audio.mp3 import inspect_mp3
from uniaudio.audio.pcm import PcmReader, check_samples
from uniaudio.audio.resample import StreamResampler
from uniaudio.errors import InvalidAudioError

_BLOCK_FRAMES = 65_536
_BLOCK_BYTES = 1 << 20


_OPUS_IN_OGG = (AudioEncoding.OPUS, AudioEncoding.OGG)


def _go_on() -> None:
    """The check of a caller that never changes its mind."""


def decode_audio(
    content: Content,
    *,
    encoding: AudioEncoding | str = AudioEncoding.AUTO,
    sample_rate: int = 0,
    num_channels: int = 0,
    limits: AudioLimits | None = None,
    check: Callable[[], None] = _go_on,
) -> NDArray[np.float32]:
    """The recording as a mono waveform `(num_samples,)` at 16 kHz, channels averaged.

    `sample_rate` (Hz) and `num_channels` describe raw PCM; for a file the rate must be 0 or agree with its
    header. `check` is called once a block and may raise to give up. Raises InvalidAudioError or
    LimitExceededError, whose metadata name value, limit and remedy.
    """
    limits = limits or AudioLimits()
    blocks = stream_audio(
        content,
        encoding=encoding,
        sample_rate=sample_rate,
        num_channels=num_channels,
        limits=limits,
        check=check,
    )
    waveform = np.concatenate(list(blocks))
    limits.check_long_enough(len(waveform), MODEL_SAMPLE_RATE)
    return waveform


def stream_audio(
    content: Content,
    *,
    encoding: AudioEncoding | str = AudioEncoding.AUTO,
    sample_rate: int = 0,
    num_channels: int = 0,
    limits: AudioLimits,
    check: Callable[[], None] = _go_on,
) -> Iterator[NDArray[np.float32]]:
    """As `decode_audio`, block by block. `content` may be a private map of a file (`mmap.ACCESS_COPY`)."""
    limits.check_encoded_bytes(len(content))
    encoding = AudioEncoding(encoding)
    if encoding.is_raw:
        blocks = _raw_blocks(content, encoding, sample_rate, num_channels or 1, limits)
    else:
        blocks, sample_rate = _file_blocks(content, encoding, sample_rate, limits)
    resampler = StreamResampler(sample_rate, MODEL_SAMPLE_RATE)
    for block in blocks:
        check()
        yield resampler.feed(block)
    yield resampler.finish()


def _raw_blocks(
    content: Content, encoding: AudioEncoding, sample_rate: int, num_channels: int, limits: AudioLimits
) -> Iterator[NDArray[np.float32]]:
    reader = PcmReader(encoding, sample_rate, num_channels, limits)
    limits.check_frames(len(content) // reader.frame_bytes, sample_rate, num_channels)

    def blocks() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(content), _BLOCK_BYTES):
            yield reader.feed(content[start : start + _BLOCK_BYTES])
        reader.finish()

    return blocks()


def _file_blocks(
    content: Content, encoding: AudioEncoding, sample_rate: int, limits: AudioLimits
) -> tuple[Iterator[NDArray[np.float32]], int]:
    """Mono blocks of a file and their rate (Hz), its header already checked."""
    found = recognise(content)
    if encoding not in (AudioEncoding.AUTO, found) and (encoding, found) != _OPUS_IN_OGG:
        raise InvalidAudioError(
            f"the audio is declared as {encoding.upper()} but is {found.upper()}; declare what it is, or nothing",
            value=encoding.value,
            limit=found.value,
            remedy="leave the encoding unset, it is found out from the bytes",
        )
    content, declared = _inspect(content, found, limits)
    if declared.sample_rate is not None and declared.num_channels is not None:
        _check_declared(declared.sample_rate, declared.num_channels, declared.num_frames, limits)
    file = _open(content, found)
    if declared.num_frames is None and file.frames < 2**40:
        declared = Declared(file.samplerate, file.channels, file.frames)
    _check_declared(file.samplerate, file.channels, declared.num_frames, limits)
    if sample_rate not in (0, file.samplerate):
        raise InvalidAudioError(
            f"the sample rate is declared as {sample_rate} Hz but the {found.upper()} header says "
            f"{file.samplerate} Hz; declare what it is, or nothing",
            value=sample_rate,
            limit=file.samplerate,
            remedy="leave the sample rate of files unset",
        )
    # The length of OGG and MP3 counts the encoder's padding, so only the exact formats can be held to theirs.
    exact = declared.num_frames if found in (AudioEncoding.WAV, AudioEncoding.FLAC) else None
    return _decoded_blocks(file, found, exact, limits), file.samplerate


def _inspect(content: Content, found: AudioEncoding, limits: AudioLimits) -> tuple[Content, Declared]:
    """Content that the decoder can only read in full, and what its header declares."""
    if found is AudioEncoding.WAV:
        return inspect_wav(content)
    if found is AudioEncoding.FLAC:
        return inspect_flac(content)
    if found is AudioEncoding.OGG:
        return inspect_ogg(content, limits)
    return inspect_mp3(content, limits)


def _check_declared(sample_rate: int, num_channels: int, num_frames: int | None, limits: AudioLimits) -> None:
    limits.check_layout(sample_rate, num_channels)
    if num_frames is not None:
        limits.check_frames(num_frames, sample_rate, num_channels)


class _ForwardFile(soundfile.SoundFile):
    """A sound file that is read once from start to end: the library seeks after each read otherwise."""

    def seekable(self) -> bool:
        """Never: files of undeclared length cannot be sought in."""
        return False


def _open(content: Content, encoding: AudioEncoding) -> soundfile.SoundFile:
    try:
        return _ForwardFile(
            cast(BinaryIO, content) if isinstance(content, mmap.mmap) else io.BytesIO(content)
        )
    except soundfile.LibsndfileError as error:
        raise _unreadable(encoding, 0, error) from error


def _decoded_blocks(
    file: soundfile.SoundFile, encoding: AudioEncoding, num_declared: int | None, limits: AudioLimits
) -> Iterator[NDArray[np.float32]]:
    num_frames = 0
    with file:
        while True:
            try:
                block: NDArray[np.float32] = np.asarray(
                    file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True), dtype=np.float32
                )
            except soundfile.LibsndfileError as error:
                raise _unreadable(encoding, num_frames, error) from error
            if len(block) == 0:
                break
            check_samples(block, num_frames)
            num_frames += len(block)
            limits.check_frames(num_frames, file.samplerate, file.channels)
            yield np.asarray(block.mean(axis=1), dtype=np.float32)
    if num_declared is not None and num_frames != num_declared:
        declared = f"its header declares {num_declared} samples a channel"
        raise truncated(encoding.upper(), declared, f"{num_frames} are there")


def _unreadable(
    encoding: AudioEncoding, num_frames: int, error: soundfile.LibsndfileError
) -> InvalidAudioError:
    # The library's own words; its object's address in the prefix says nothing to a caller.
    why = str(error.error_string).strip() or "the decoder stopped"
    return InvalidAudioError(
        f"the {encoding.upper()} file cannot be read after {num_frames} samples: {why}; "
        "send the complete file or convert it",
        value=f"unreadable after {num_frames} samples",
        limit="a complete, undamaged file",
        remedy="send the complete file or convert it",
    )
