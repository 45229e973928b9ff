"""How audio bytes are written: the encodings that come in and go out."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from enum import StrEnum

from uniaudio.errors import InvalidAudioError

Content = bytes | mmap.mmap
"""The bytes of a recording: in memory, or a private map (`mmap.ACCESS_COPY`) of a file."""


class AudioEncoding(StrEnum):
    """An encoding by name; AUTO is found out from the bytes."""

    AUTO = "auto"
    PCM_S16LE = "pcm_s16le"
    PCM_F32LE = "pcm_f32le"
    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"
    MP3 = "mp3"
    OPUS = "opus"

    @property
    def is_raw(self) -> bool:
        """Whether the bytes are samples without a header."""
        return self in (AudioEncoding.PCM_S16LE, AudioEncoding.PCM_F32LE)


@dataclass(frozen=True, kw_only=True)
class AudioFormat:
    """Layout of samples: a rate of 0 Hz and 0 channels mean "as the header says" or the default."""

    encoding: AudioEncoding = AudioEncoding.AUTO
    sample_rate: int = 0
    num_channels: int = 0


def recognise(content: Content) -> AudioEncoding:
    """The file encoding that the first bytes show; raises InvalidAudioError when there is none we take."""
    head = content[:12]
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return AudioEncoding.WAV
    if head[:4] == b"fLaC":
        return AudioEncoding.FLAC
    if head[:4] == b"OggS":
        return AudioEncoding.OGG
    if head[:3] == b"ID3" or (len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return AudioEncoding.MP3
    raise InvalidAudioError(
        f"the audio is none of WAV, FLAC, OGG and MP3 (it begins with {head[:4].hex(' ') or 'nothing'}); "
        "convert it, or declare raw PCM with its sample rate",
        value=head[:4].hex(" "),
        limit="WAV, FLAC, OGG, MP3, or declared raw PCM",
        remedy="convert the recording or declare its encoding and sample rate",
    )
