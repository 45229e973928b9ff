"""What the headers of WAV, FLAC and OGG files claim, compared with the bytes that are there.

The decoding library forgives headers that lie and files that stop early; a caller is better served by an
error. Each function returns content that the library can only read in full, and what the header declares.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

from uniaudio.audio.formats import Content
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import InvalidAudioError

_UNKNOWN_SIZES = (0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36, 0x7FFFF000, 0x7FFFF024)
"""What programs write into a WAV header when they stream and do not know the length."""
_MAX_CHUNKS = 1000
"""More than any program writes before the samples; walking millions of empty ones would take seconds."""
_SHORTEST_PAGE_SECONDS = 0.01
"""Half of what the most careful streamer puts into a page."""


@dataclass(frozen=True)
class Declared:
    """What a file says about itself; None where it does not say."""

    sample_rate: int | None
    num_channels: int | None
    num_frames: int | None


def truncated(kind: str, value: str, limit: str) -> InvalidAudioError:
    """The error for a file whose header promises what the bytes do not hold."""
    return InvalidAudioError(
        f"the {kind} file is truncated or its header lies: {value}, but {limit}; send the complete file",
        value=value,
        limit=limit,
        remedy="send the complete file",
    )


def inspect_wav(content: Content) -> tuple[Content, Declared]:
    """Walks the RIFF chunks; a streamed file of undeclared length gets its true sizes filled in."""
    position, layout, num_chunks = 12, None, 0
    while position + 8 <= len(content):
        num_chunks += 1
        if num_chunks > _MAX_CHUNKS:
            raise truncated("WAV", f"{_MAX_CHUNKS} chunks", "its samples were due by then")
        name, size = content[position : position + 4], struct.unpack_from("<I", content, position + 4)[0]
        body, available = position + 8, len(content) - position - 8
        if name == b"fmt ":
            if size < 16 or available < 16:
                raise truncated("WAV", f"its format chunk has {min(size, available)} bytes", "needed are 16")
            layout = struct.unpack_from("<HHIIHH", content, body)
        elif name == b"data":
            if layout is None:
                raise truncated("WAV", "its samples begin", "no format chunk stands before them")
            return _wav_samples(content, body, size, layout)
        position = body + size + size % 2
    raise truncated("WAV", f"{len(content)} bytes", "there is no data chunk in them")


def _wav_samples(content: Content, body: int, size: int, layout: tuple[int, ...]) -> tuple[Content, Declared]:
    code, num_channels, sample_rate, _, block_align, bits = layout
    available = len(content) - body
    is_linear = code in (1, 3, 0xFFFE)
    if is_linear and (num_channels == 0 or block_align != num_channels * ((bits + 7) // 8)):
        needed = f"{num_channels} channels of {bits} bits do not fit in that"
        raise truncated("WAV", f"its header declares {block_align} bytes a frame", needed)
    if size in _UNKNOWN_SIZES or (size == 0 and available > 0):
        size = available - (available % block_align if block_align else 0)
        content = _patched(
            content,
            {4: struct.pack("<I", body + size - 8), body - 4: struct.pack("<I", size)},
            size_bytes=body + size,
        )
    elif size > available:
        raise truncated("WAV", f"its header declares {size} bytes of samples", f"{available} are there")
    num_frames = size // block_align if is_linear and block_align else None
    return content, Declared(sample_rate, num_channels, num_frames)


def inspect_flac(content: Content) -> tuple[Content, Declared]:
    """Reads STREAMINFO; its length is blanked, so that the decoder reads to the end and the caller compares."""
    if len(content) < 42 or content[4] & 0x7F != 0:
        raise truncated("FLAC", f"{len(content)} bytes", "its stream information is not in them")
    packed = int.from_bytes(content[18:26], "big")
    sample_rate, num_channels, num_frames = packed >> 44, ((packed >> 41) & 7) + 1, packed & (2**36 - 1)
    blanked = _patched(content, {18: (packed & ~(2**36 - 1)).to_bytes(8, "big")}, size_bytes=len(content))
    return blanked, Declared(sample_rate, num_channels, num_frames or None)


def _patched(content: Content, changes: dict[int, bytes], *, size_bytes: int) -> Content:
    """The first `size_bytes` with some bytes changed; a private map of a file is changed in place, and not cut."""
    if isinstance(content, mmap.mmap):
        for position, new in changes.items():
            content[position : position + len(new)] = new
        return content
    patched = bytearray(content[:size_bytes])
    for position, new in changes.items():
        patched[position : position + len(new)] = new
    return bytes(patched)


def inspect_ogg(content: Content, limits: AudioLimits) -> tuple[Content, Declared]:
    """Walks the Ogg pages: all must be whole, and the last must be marked as the end of its stream."""
    position, is_last, num_pages = 0, False, 0
    max_pages = 1000 + int(limits.max_seconds / _SHORTEST_PAGE_SECONDS)
    while position < len(content):
        if num_pages > max_pages:
            raise truncated(
                "OGG", f"more than {max_pages} pages", f"they hold less than {limits.max_seconds:g} s"
            )
        if content[position : position + 4] != b"OggS":
            raise truncated(
                "OGG", f"after {position} bytes and {num_pages} pages other bytes follow", "a page was due"
            )
        if position + 27 > len(content):
            raise truncated("OGG", f"page {num_pages} begins", "the file ends inside its header")
        is_last, num_segments = bool(content[position + 5] & 4), content[position + 26]
        segments = content[position + 27 : position + 27 + num_segments]
        position += 27 + num_segments + sum(segments)
        num_pages += 1
    if position > len(content):
        raise truncated("OGG", f"its {num_pages} pages need {position} bytes", f"{len(content)} are there")
    if not is_last:
        raise truncated("OGG", f"it has {num_pages} pages", "the last is not marked as the end")
    return content, Declared(None, None, None)
