"""MPEG layer III frame headers: how long a file is, and whether it is whole.

The decoding library guesses the length of an MP3 from its first frame and stops there. Walking the frame
headers gives the true number; it is handed over in a Xing frame, which the library trusts.
"""

from __future__ import annotations

from dataclasses import dataclass

from uniaudio.audio.formats import Content
from uniaudio.audio.headers import Declared, truncated
from uniaudio.audio.limits import AudioLimits

_BITRATES_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}

_FRAMES_BETWEEN_CHECKS = 1000

OUTPUT_SAMPLE_RATES = tuple(sorted(rate for rates in _SAMPLE_RATES.values() for rate in rates))
"""Rates (Hz) that the format knows."""


@dataclass(frozen=True)
class FrameHeader:
    """One frame: its rate (Hz), channels, samples per channel, bytes, and where a Xing tag would stand."""

    sample_rate: int
    num_channels: int
    num_samples: int
    size_bytes: int
    tag_offset: int


def frame_header(content: Content, position: int) -> FrameHeader | None:
    """The layer III frame that begins at `position`, or None where there is no valid one."""
    if position + 4 > len(content):
        return None
    sync, second, third, fourth = content[position : position + 4]
    version, rate_index, bitrate_index = (second >> 3) & 3, (third >> 2) & 3, third >> 4
    if sync != 0xFF or second & 0xE6 != 0xE2 or version == 1 or rate_index == 3 or bitrate_index in (0, 15):
        return None
    is_v1 = version == 3
    sample_rate = _SAMPLE_RATES[version][rate_index]
    bitrate = (_BITRATES_V1 if is_v1 else _BITRATES_V2)[bitrate_index] * 1000
    num_channels = 1 if fourth >> 6 == 3 else 2
    size_bytes = (144 if is_v1 else 72) * bitrate // sample_rate + ((third >> 1) & 1)
    side_bytes = (17 if num_channels == 1 else 32) if is_v1 else (9 if num_channels == 1 else 17)
    return FrameHeader(sample_rate, num_channels, 1152 if is_v1 else 576, size_bytes, 4 + side_bytes)


def inspect_mp3(content: Content, limits: AudioLimits) -> tuple[Content, Declared]:
    """Counts the frames, no further than the limits go.

    Raises InvalidAudioError when the file ends inside one or a Xing tag promises more, and LimitExceededError.
    """
    position = start = _after_id3(content)
    first, num_frames = None, 0
    while (header := frame_header(content, position)) is not None:
        if first is None:
            first = header
        if position + header.size_bytes > len(content):
            raise truncated(
                "MP3",
                f"frame {num_frames} needs {header.size_bytes} bytes",
                f"{len(content) - position} are left",
            )
        position, num_frames = position + header.size_bytes, num_frames + 1
        if num_frames % _FRAMES_BETWEEN_CHECKS == 0:
            limits.check_frames(num_frames * first.num_samples, first.sample_rate, first.num_channels)
    if first is None:
        raise truncated("MP3", f"{len(content)} bytes", "no MPEG layer III frame begins where one was due")
    _check_rest(content, position, num_frames)
    tag = content[start + first.tag_offset : start + first.tag_offset + 12]
    if tag[:4] in (b"Xing", b"Info"):
        promised = int.from_bytes(tag[8:12], "big") if tag[7] & 1 else num_frames - 1
        if promised > num_frames:
            raise truncated("MP3", f"its header declares {promised} frames", f"{num_frames} are there")
        if promised >= num_frames - 2:
            return content, Declared(first.sample_rate, first.num_channels, num_frames * first.num_samples)
        start, num_frames = start + first.size_bytes, num_frames - 1
    declared = Declared(first.sample_rate, first.num_channels, num_frames * first.num_samples)
    return _xing_frame(content[start : start + 4], first, num_frames) + content[start:], declared


def _after_id3(content: Content) -> int:
    """Where the frames begin: after an ID3v2 tag, if there is one."""
    if content[:3] != b"ID3" or len(content) < 10:
        return 0
    size = 0
    for byte in content[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if content[5] & 0x10 else 0)


def _check_rest(content: Content, position: int, num_frames: int) -> None:
    """After the last frame only tags and padding may stand."""
    rest = content[position:]
    if (
        rest[:3] in (b"TAG", b"ID3")
        or rest[:8] == b"APETAGEX"
        or rest[:5] == b"LYRIC"
        or not rest.strip(b"\0")
    ):
        return
    raise truncated(
        "MP3", f"after {num_frames} frames {len(rest)} bytes follow", "they begin no frame and no tag"
    )


def _xing_frame(header: bytes, first: FrameHeader, num_frames: int) -> bytes:
    """A silent frame that tells decoders the number of frames; its layout is the first frame's."""
    # The widest bitrate of either version leaves room for the tag; padding and checksum are switched off.
    fourth_bitrate = 0x90 if first.num_samples == 1152 else 0xC0
    head = bytes([header[0], header[1] | 1, fourth_bitrate | (header[2] & 0x0C), header[3]])
    parsed = frame_header(head, 0)
    assert parsed is not None
    body = bytearray(parsed.size_bytes)
    body[:4] = head
    body[parsed.tag_offset : parsed.tag_offset + 12] = (
        b"Xing" + (1).to_bytes(4, "big") + num_frames.to_bytes(4, "big")
    )
    return bytes(body)
