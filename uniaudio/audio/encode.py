"""Waveforms to bytes while they are made: PCM, WAV, FLAC, OGG or MP3, at any rate that the format knows."""

from __future__ import annotations

import io
import struct
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.audio.mp3 import OUTPUT_SAMPLE_RATES, frame_header
from uniaudio.audio.resample import StreamResampler
from uniaudio.errors import InvalidAudioError

_UNKNOWN_SIZE = 0xFFFFFFFF
_CALL_SAMPLES = 16_384
_SUBTYPES = {
    AudioEncoding.FLAC: ("FLAC", "PCM_16"),
    AudioEncoding.OGG: ("OGG", "VORBIS"),
    AudioEncoding.OPUS: ("OGG", "OPUS"),
    AudioEncoding.MP3: ("MP3", "MPEG_LAYER_III"),
}
# What an encoding is written at; the others take any rate.
_OUTPUT_RATES = {
    AudioEncoding.MP3: OUTPUT_SAMPLE_RATES,
    AudioEncoding.OPUS: (8_000, 12_000, 16_000, 24_000, 48_000),
}


class _Writer(Protocol):
    def write(self, samples: NDArray[np.float32]) -> bytes: ...

    def finish(self) -> bytes: ...


def wav_header(sample_rate: int, num_samples: int | None) -> bytes:
    """The 44 bytes before mono 16-bit samples; None leaves the length open, as programs do that write to a pipe.

    Who stores a streamed WAV in a file puts the header with the true number over the first 44 bytes.
    """
    size = _UNKNOWN_SIZE if num_samples is None else 2 * num_samples
    riff_size = _UNKNOWN_SIZE if num_samples is None else 36 + size
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE") + layout + struct.pack("<4sI", b"data", size)


def output_format(asked: AudioFormat) -> AudioFormat:
    """What an answer is written in: defaults filled in; raises InvalidAudioError for what cannot be written."""
    encoding = AudioEncoding.PCM_S16LE if asked.encoding is AudioEncoding.AUTO else asked.encoding
    sample_rate = asked.sample_rate or MODEL_SAMPLE_RATE
    AudioLimits().check_layout(sample_rate, 1)
    if asked.num_channels not in (0, 1):
        raise InvalidAudioError(
            f"answers are mono, {asked.num_channels} channels were asked for; leave the channel count unset",
            value=asked.num_channels,
            limit=1,
            remedy="leave the channel count of the output unset",
        )
    known = _OUTPUT_RATES.get(encoding, (sample_rate,))
    if sample_rate not in known:
        rates = ", ".join(map(str, known))
        raise InvalidAudioError(
            f"{encoding.upper()} cannot be written at {sample_rate} Hz; choose one of {rates}",
            value=sample_rate,
            limit=rates,
            remedy=f"choose a rate that {encoding.upper()} knows, or another encoding",
        )
    return AudioFormat(encoding=encoding, sample_rate=sample_rate, num_channels=1)


class AudioEncoder:
    """Takes a 16 kHz mono waveform piece by piece; the bytes it gives, put end to end, are the whole.

    PCM, WAV, OGG, OPUS and MP3 leave while they are made. FLAC's header carries length and checksum, which many
    readers insist on, so FLAC comes whole at the end. `num_samples` (at 16 kHz), where it is known
    beforehand, gives a WAV its true length; otherwise its header leaves the length open.
    """

    def __init__(self, asked: AudioFormat, *, num_samples: int | None = None) -> None:
        self.format = output_format(asked)
        self._resampler = StreamResampler(MODEL_SAMPLE_RATE, self.format.sample_rate)
        self._writer = _writer(self.format, num_samples)

    def feed(self, waveform: NDArray[np.float32]) -> bytes:
        """The bytes that are known after these samples `(num_samples,)`; may be none. Clips to [-1, 1]."""
        return self._write(self._resampler.feed(np.ascontiguousarray(waveform, dtype=np.float32)))

    def finish(self) -> bytes:
        """The rest; nothing may be fed afterwards."""
        return self._write(self._resampler.finish()) + self._writer.finish()

    def _write(self, samples: NDArray[np.float32]) -> bytes:
        return self._writer.write(np.clip(samples, -1.0, 1.0))


def encode_audio(waveform: NDArray[np.float32], asked: AudioFormat) -> bytes:
    """A whole 16 kHz mono waveform `(num_samples,)` as bytes."""
    encoder = AudioEncoder(asked, num_samples=len(waveform))
    return encoder.feed(waveform) + encoder.finish()


def _writer(written: AudioFormat, num_samples: int | None) -> _Writer:
    if written.encoding in (AudioEncoding.PCM_S16LE, AudioEncoding.PCM_F32LE):
        return _PcmWriter(b"", is_float=written.encoding is AudioEncoding.PCM_F32LE)
    if written.encoding is AudioEncoding.WAV:
        # The resampler gives exactly this many.
        known = None if num_samples is None else round(num_samples * written.sample_rate / MODEL_SAMPLE_RATE)
        return _PcmWriter(wav_header(written.sample_rate, known), is_float=False)
    return _LibraryWriter(written)


class _PcmWriter:
    def __init__(self, header: bytes, *, is_float: bool) -> None:
        self._header = header
        self._is_float = is_float

    def write(self, samples: NDArray[np.float32]) -> bytes:
        header, self._header = self._header, b""
        if self._is_float:
            return header + bytes(samples.astype("<f4").data)
        return header + bytes(np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2").data)

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        return header


class _Sink(io.BytesIO):
    """Bytes that the library writes; what was taken is gone, so that memory stays bounded.

    `size` counts everything ever written. Writing before what was taken (an MP3's tag) is dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self._position = 0
        self._start = 0
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Puts the bytes at the position, as far as that was not taken yet."""
        offset = self._position - self._start
        if offset >= 0:
            self._bytes[offset : offset + len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves the position, counted over everything ever written."""
        base = (0, self._position, self._start + len(self._bytes))[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position, counted over everything ever written."""
        return self._position

    def take(self) -> bytes:
        """What was written since the last call."""
        taken = bytes(self._bytes)
        self._start += len(taken)
        self._bytes.clear()
        return taken


class _LibraryWriter:
    def __init__(self, written: AudioFormat) -> None:
        self._sink = _Sink()
        self._is_whole = written.encoding is AudioEncoding.FLAC
        self._is_first = written.encoding is AudioEncoding.MP3
        # The library forgets what its Opus encoder still looks ahead at when it ends: 10 ms of silence go there.
        is_opus = written.encoding is AudioEncoding.OPUS
        self._trailing = np.zeros(written.sample_rate // 100 if is_opus else 0, np.float32)
        is_mp3 = written.encoding is AudioEncoding.MP3
        container, subtype = _SUBTYPES[written.encoding]
        self._file = soundfile.SoundFile(
            self._sink,
            "w",
            written.sample_rate,
            1,
            format=container,
            subtype=subtype,
            # Without a tag, which would need the length, decoders know the duration of a constant bitrate only.
            bitrate_mode="CONSTANT" if is_mp3 else None,
            compression_level=0.5 if is_mp3 else None,
        )

    def write(self, samples: NDArray[np.float32]) -> bytes:
        # The Vorbis encoder keeps a call's samples on its stack, which a long call overflows.
        for start in range(0, len(samples), _CALL_SAMPLES):
            self._file.write(samples[start : start + _CALL_SAMPLES])
        return b"" if self._is_whole else self._take()

    def finish(self) -> bytes:
        self._file.write(self._trailing)
        self._file.close()
        return self._take()

    def _take(self) -> bytes:
        taken = self._sink.take()
        if self._is_first and taken:
            # The encoder begins with an empty frame for a tag that it would fill in at the end.
            header = frame_header(taken, 0)
            taken, self._is_first = taken[header.size_bytes if header else 0 :], False
        return taken
