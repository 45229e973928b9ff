"""What identifies the audio of a file: SHA-256 of its bytes, without a WAV's header.

A streamed WAV gets its length filled in afterwards, and programs add chunks to it, so of a WAV the samples alone
count: it has the same digest as the raw 16-bit samples.
"""

from __future__ import annotations

import hashlib
import struct

from uniaudio.audio.encode import wav_header
from uniaudio.audio.formats import AudioEncoding, Content

_WAV_HEADER_BYTES = len(wav_header(16_000, None))


class AudioDigest:
    """Takes what `AudioEncoder` gives, piece by piece."""

    def __init__(self, encoding: AudioEncoding) -> None:
        self._hash = hashlib.sha256()
        self._num_skipped = _WAV_HEADER_BYTES if encoding is AudioEncoding.WAV else 0

    def feed(self, content: bytes) -> None:
        """The next bytes."""
        dropped = min(self._num_skipped, len(content))
        self._num_skipped -= dropped
        self._hash.update(memoryview(content)[dropped:])

    def hexdigest(self) -> str:
        """64 hexadecimal digits over what was fed so far."""
        return self._hash.hexdigest()


def audio_digest(content: Content) -> str:
    """The digest of a whole file, or of raw samples: 64 hexadecimal digits."""
    return hashlib.sha256(_samples_of_wav(content)).hexdigest()


def _samples_of_wav(content: Content) -> memoryview:
    """A WAV's data chunk; everything where the bytes are something else."""
    whole = memoryview(content)
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return whole
    position = 12
    while position + 8 <= len(content):
        name, size = content[position : position + 4], struct.unpack_from("<I", content, position + 4)[0]
        body = position + 8
        if name == b"data":
            return whole[body : body + size]
        position = body + size + size % 2
    return whole
