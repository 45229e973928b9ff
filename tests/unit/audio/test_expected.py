"""How long a recording lasts, told without decoding it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from uniaudio.audio.expected import expected_seconds
from uniaudio.audio.formats import AudioEncoding, AudioFormat

WAVEFORM = np.random.default_rng(0).uniform(-0.1, 0.1, 24_000).astype(np.float32)  # 1.5 s at 16 kHz


def _file(kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, WAVEFORM, 16_000, format=kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_headers_tell_it_exactly(kind: str) -> None:
    assert expected_seconds(_file(kind), AudioFormat(), max_seconds=60) == pytest.approx(1.5)


def test_raw_samples_are_counted() -> None:
    stereo = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=8_000, num_channels=2)
    assert expected_seconds(bytes(32_000), stereo, max_seconds=60) == pytest.approx(1.0)
    floats = AudioFormat(encoding=AudioEncoding.PCM_F32LE, sample_rate=8_000)
    assert expected_seconds(bytes(32_000), floats, max_seconds=60) == pytest.approx(1.0)


def test_compressed_files_are_guessed_by_size_up_to_the_limit() -> None:
    content = _file("OGG")
    assert expected_seconds(content, AudioFormat(), max_seconds=60) == pytest.approx(len(content) / 8_000)
    assert expected_seconds(content, AudioFormat(), max_seconds=0.1) == 0.1


@pytest.mark.parametrize("content", [b"", b"no recording", b"RIFF\0\0\0\0WAVE", b"fLaC"], ids=repr)
def test_what_will_be_refused_is_nothing(content: bytes) -> None:
    assert expected_seconds(content, AudioFormat(), max_seconds=60) == 0.0


def test_raw_samples_without_a_rate_are_nothing() -> None:
    raw = AudioFormat(encoding=AudioEncoding.PCM_S16LE)
    assert expected_seconds(bytes(100), raw, max_seconds=60) == 0.0
