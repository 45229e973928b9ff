"""Recordings on disk as the measures take them: 16 kHz mono float32."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uniaudio.audio.encode import wav_header
from uniaudio.audio.files import decode_audio
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import InvalidAudioError
from uniaudio.whole_file import write_whole

Waveform = NDArray[np.float32]
SAMPLE_RATE = 16_000
ENDINGS = (".wav", ".flac", ".ogg", ".mp3")


def read_recording(path: Path) -> Waveform:
    """The recording `(num_samples,)`; InvalidAudioError, naming the file, for what cannot be read."""
    try:
        AudioLimits().check_encoded_bytes(path.stat().st_size)
        return decode_audio(path.read_bytes())
    except InvalidAudioError as error:
        raise InvalidAudioError(f"{path}: {error.message}", path=path) from error


def write_recording(path: Path, waveform: Waveform) -> Path:
    """Writes a 16-bit WAV that appears whole or not at all; returns its path."""
    samples = np.round(np.clip(waveform, -1.0, 1.0) * 32767).astype("<i2")
    write_whole(path, wav_header(SAMPLE_RATE, len(samples)) + samples.tobytes())
    return path


def find_recordings(folder: Path) -> Iterator[Path]:
    """Every recording under a folder, in order of its path."""
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS)


Part = tuple[Waveform, int, int]
"""A recording and the stretch of it, in samples, that is used."""


def splice(parts: Sequence[Part], crossfade_seconds: float = 0.01) -> Waveform:
    """Stretches end to end, joined by linear cross-fades centred on the cuts (evaluation 4.2).

    The result is as long as the stretches together; a fade is shorter where a recording ends near its cut.
    """
    parts = [part for part in parts if part[2] > part[1]]
    half = round(crossfade_seconds * SAMPLE_RATE / 2)
    reaches = [0, *(_reach(*pair, half) for pair in itertools.pairwise(parts)), 0]
    joined = np.zeros(sum(end - start for _, start, end in parts), np.float32)
    offset = 0
    for (waveform, start, end), lead, trail in zip(parts, reaches, reaches[1:], strict=False):
        stretch = waveform[start - lead : end + trail].astype(np.float32)
        stretch[: 2 * lead] *= _rising(lead)
        stretch[len(stretch) - 2 * trail :] *= _rising(trail)[::-1]
        joined[offset - lead : offset - lead + len(stretch)] += stretch
        offset += end - start
    return joined


def _reach(left: Part, right: Part, half: int) -> int:
    """Samples on each side of a join that both stretches and both recordings have."""
    return min(half, len(left[0]) - left[2], right[1], (left[2] - left[1]) // 2, (right[2] - right[1]) // 2)


def _rising(reach: int) -> Waveform:
    return ((np.arange(2 * reach) + 0.5) / max(1, 2 * reach)).astype(np.float32)
