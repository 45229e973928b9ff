"""The same samples have the same digest, however a WAV wraps them."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import soundfile

from uniaudio.audio.digest import AudioDigest, audio_digest
from uniaudio.audio.encode import AudioEncoder, encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat

WAVEFORM = np.random.default_rng(0).uniform(-0.5, 0.5, 5_000).astype(np.float32)


@pytest.mark.parametrize("encoding", [name for name in AudioEncoding if name is not AudioEncoding.AUTO])
def test_what_leaves_in_pieces_has_the_digest_of_the_file(encoding: AudioEncoding) -> None:
    asked = AudioFormat(encoding=encoding)
    encoder, digest = AudioEncoder(asked), AudioDigest(encoding)
    pieces = [encoder.feed(WAVEFORM[:1_000]), encoder.feed(WAVEFORM[1_000:]), encoder.finish()]
    for piece in pieces:
        for start in range(0, len(piece), 30):  # a header may be cut too
            digest.feed(piece[start : start + 30])
    assert digest.hexdigest() == audio_digest(b"".join(pieces))


def test_a_wav_has_the_digest_of_its_samples() -> None:
    samples = encode_audio(WAVEFORM, AudioFormat(encoding=AudioEncoding.PCM_S16LE))
    expected = hashlib.sha256(samples).hexdigest()
    assert audio_digest(samples) == expected
    assert audio_digest(encode_audio(WAVEFORM, AudioFormat(encoding=AudioEncoding.WAV))) == expected
    other = io.BytesIO()
    with soundfile.SoundFile(other, "w", 16_000, 1, format="WAV", subtype="PCM_16") as file:
        file.title = "a chunk more"
        file.write(np.frombuffer(samples, "<i2"))
    assert audio_digest(other.getvalue()) == expected


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff"]
)
def test_what_is_no_whole_wav_counts_as_it_is(content: bytes) -> None:
    assert audio_digest(content) == hashlib.sha256(content).hexdigest()
