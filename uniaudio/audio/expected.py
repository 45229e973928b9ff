"""How long a recording lasts, by its size and header alone: to count what waits before anything is decoded."""

from __future__ import annotations

from uniaudio.audio.formats import AudioEncoding, AudioFormat, recognise
from uniaudio.audio.headers import Declared, inspect_flac, inspect_wav
from uniaudio.errors import InvalidAudioError

_COMPRESSED_BYTES_PER_SECOND = 8_000.0  # 64 kbit/s, where a header does not tell
_FLAC_HEADER_BYTES = 42


def expected_seconds(content: bytes, declared: AudioFormat, *, max_seconds: float) -> float:
    """Seconds that a recording likely lasts, at most `max_seconds`; 0 for what is no recording at all.

    Exact for raw PCM, and for WAV and FLAC whose headers are true; a guess by size for the others.
    """
    try:
        seconds = _seconds(content, declared)
    except InvalidAudioError:
        return 0.0  # it will be refused when its turn comes, with the reason
    return min(seconds, max_seconds)


def _seconds(content: bytes, declared: AudioFormat) -> float:
    if declared.encoding.is_raw:
        sample_bytes = 4 if declared.encoding is AudioEncoding.PCM_F32LE else 2
        bytes_per_frame = sample_bytes * (declared.num_channels or 1)
        return len(content) / bytes_per_frame / declared.sample_rate if declared.sample_rate > 0 else 0.0
    header = _header(content)
    if header.num_frames and header.sample_rate:
        return header.num_frames / header.sample_rate
    return len(content) / _COMPRESSED_BYTES_PER_SECOND


def _header(content: bytes) -> Declared:
    match recognise(content):
        case AudioEncoding.WAV:
            return inspect_wav(content)[1]
        case AudioEncoding.FLAC:
            return inspect_flac(content[:_FLAC_HEADER_BYTES])[1]
        case _:
            return Declared(None, None, None)
