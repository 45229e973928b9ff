"""Valid recordings of every form, and what carelessness or malice makes of them."""

from __future__ import annotations

import random
import struct
from functools import cache

import numpy as np

from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat

_ODD_CODECS = ((1, 8), (1, 24), (3, 64), (6, 8), (7, 8), (17, 4), (2, 4))
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@cache
def recordings() -> tuple[bytes, ...]:
    """Half a second of sound in each file format and at several rates, and some files made by hand."""
    sound = (0.3 * np.sin(np.arange(8_000) / 7)).astype(np.float32)
    files = [
        encode_audio(sound, AudioFormat(encoding=encoding, sample_rate=rate))
        for encoding, rates in (
            (AudioEncoding.WAV, (8_000, 16_000, 48_000)),
            (AudioEncoding.FLAC, (16_000, 44_100)),
            (AudioEncoding.OGG, (16_000, 48_000)),
            (AudioEncoding.MP3, (16_000, 44_100)),
        )
        for rate in rates
    ]
    return (*files, *(_odd_wav(code, bits) for code, bits in _ODD_CODECS))


def _odd_wav(code: int, bits: int) -> bytes:
    """A stereo WAV of another codec: bytes, floats, A-law, mu-law, ADPCM."""
    align = max(1, 2 * bits // 8) if bits >= 8 else 256
    layout = struct.pack("<HHIIHH", code, 2, 16_000, 16_000 * align, align, bits)
    data = bytes(range(256)) * 16
    chunks = b"fmt " + struct.pack("<I", 16) + layout + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def mutated(rng: random.Random, content: bytes, *, head: int = 128) -> bytes:
    """`content` with one to six changes, most of them near its beginning, where headers stand."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(min(len(changed), head) if rng.random() < 0.7 else len(changed)) if changed else 0
        _CHANGES[rng.randrange(len(_CHANGES))](rng, changed, at)
    return bytes(changed)


def _flip(rng: random.Random, content: bytearray, at: int) -> None:
    if content:
        content[at] ^= 1 << rng.randrange(8)


def _replace(rng: random.Random, content: bytearray, at: int) -> None:
    content[at : at + 1] = bytes([rng.randrange(256)])


def _extreme(rng: random.Random, content: bytearray, at: int) -> None:
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice(_EXTREMES) & (2 ** (8 * size) - 1)
    content[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _truncate(rng: random.Random, content: bytearray, at: int) -> None:
    del content[at + rng.randrange(max(1, len(content) - at)) :]


def _remove(rng: random.Random, content: bytearray, at: int) -> None:
    del content[at : at + rng.randint(1, 64)]


def _insert(rng: random.Random, content: bytearray, at: int) -> None:
    content[at:at] = rng.choice((bytes(64), b"\xff" * 64, rng.randbytes(rng.randint(1, 64))))


def _double(rng: random.Random, content: bytearray, at: int) -> None:
    content[at:at] = content[at : at + rng.randint(1, 4096)]


def _splice(rng: random.Random, content: bytearray, at: int) -> None:
    other = rng.choice(recordings())
    content[at:] = other[rng.randrange(len(other)) :]


def _chain(rng: random.Random, content: bytearray, at: int) -> None:
    content += rng.choice(recordings())


_CHANGES = (_flip, _flip, _replace, _extreme, _extreme, _truncate, _remove, _insert, _double, _splice, _chain)
