"""What transmission and storage do to speech: MP3, Opus, Vorbis, telephone codecs, by libsndfile."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from uniaudio.errors import InvalidInputError

_SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Codec:
    """A container and coding of libsndfile; `levels` is the span of its compression level, 1 is smallest."""

    container: str
    coding: str
    sample_rate: int = _SAMPLE_RATE
    levels: tuple[float, float] | None = None


CODECS: Mapping[str, Codec] = {
    "mp3": Codec("MP3", "MPEG_LAYER_III", levels=(0.0, 0.99)),  # 25 to 13 kbit/s
    "opus": Codec("OGG", "OPUS", levels=(0.85, 0.99)),  # 25 to 8 kbit/s
    "vorbis": Codec("OGG", "VORBIS", levels=(0.5, 0.99)),  # 28 to 23 kbit/s
    "mu-law": Codec("WAV", "ULAW", sample_rate=8000),
    "a-law": Codec("WAV", "ALAW", sample_rate=8000),
    "gsm": Codec("WAV", "GSM610", sample_rate=8000),
    "adpcm": Codec("WAV", "IMA_ADPCM"),
}


def transcode(waveform: NDArray[np.float32], codec: str, level: float = 0.5) -> NDArray[np.float32]:
    """The 16 kHz waveform `(num_samples,)` written by a codec and read again: as long, and not delayed.

    `level` from 0 to 1 moves within the codec's span of compression, where it has one. Telephone codecs
    work at 8 kHz. Raises InvalidInputError for a codec that is not in `CODECS`.
    """
    if codec not in CODECS:
        raise InvalidInputError(f"codec {codec!r} is unknown; choose one of {', '.join(sorted(CODECS))}")
    chosen = CODECS[codec]
    signal = np.clip(waveform, -1.0, 1.0)
    if chosen.sample_rate != _SAMPLE_RATE:
        signal = soxr.resample(signal, _SAMPLE_RATE, chosen.sample_rate)
    compression = None
    if chosen.levels is not None:
        low, high = chosen.levels
        compression = low + level * (high - low)
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        signal,
        chosen.sample_rate,
        format=chosen.container,
        subtype=chosen.coding,
        compression_level=compression,
    )
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    if chosen.sample_rate != _SAMPLE_RATE:
        decoded = soxr.resample(decoded, chosen.sample_rate, _SAMPLE_RATE)
    fitted = np.zeros(waveform.size, np.float32)
    fitted[: min(waveform.size, decoded.size)] = decoded[: waveform.size]
    return fitted
