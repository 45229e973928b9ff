"""Pieces of an answer, put end to end, are one valid file of the asked form and rate."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uniaudio.audio.encode import AudioEncoder, encode_audio, output_format, wav_header
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import InvalidAudioError, LimitExceededError

NUM_SAMPLES = 40_003


@pytest.fixture(scope="module")
def waveform() -> NDArray[np.float32]:
    """A sweep that grows, so that shifts and cuts show."""
    times = np.arange(NUM_SAMPLES) / 16_000
    return (0.4 * times / times[-1] * np.sin(2 * np.pi * (200 + 100 * times) * times)).astype(np.float32)


def pieces_of(encoder: AudioEncoder, waveform: NDArray[np.float32], size: int = 1_600) -> list[bytes]:
    """What the encoder gives patch by patch, and at the end."""
    return [encoder.feed(waveform[start : start + size]) for start in range(0, len(waveform), size)] + [
        encoder.finish()
    ]


@pytest.mark.parametrize("sample_rate", [0, 8_000, 24_000, 44_100])
@pytest.mark.parametrize("encoding", sorted(set(AudioEncoding) - {AudioEncoding.MP3, AudioEncoding.OPUS}))
def test_pieces_are_the_whole(
    waveform: NDArray[np.float32], encoding: AudioEncoding, sample_rate: int
) -> None:
    encoder = AudioEncoder(AudioFormat(encoding=encoding, sample_rate=sample_rate))
    content = b"".join(pieces_of(encoder, waveform))
    written = encoder.format
    how = (
        {"encoding": written.encoding, "sample_rate": written.sample_rate} if written.encoding.is_raw else {}
    )
    back = decode_audio(content, **how)
    assert abs(len(back) - NUM_SAMPLES) <= 1
    assert np.abs(back[: NUM_SAMPLES - 1] - waveform[: NUM_SAMPLES - 1]).max() < 0.05


@pytest.mark.parametrize(
    "encoding",
    [
        AudioEncoding.PCM_S16LE,
        AudioEncoding.WAV,
        AudioEncoding.OGG,
        AudioEncoding.OPUS,
        AudioEncoding.MP3,
    ],
)
def test_streamed_forms_leave_while_they_are_made(
    waveform: NDArray[np.float32], encoding: AudioEncoding
) -> None:
    pieces = pieces_of(AudioEncoder(AudioFormat(encoding=encoding)), waveform)
    assert pieces[0]
    assert len(pieces[-1]) < sum(map(len, pieces)) / 2


def test_an_mp3_holds_the_sound_after_its_encoder_delay(waveform: NDArray[np.float32]) -> None:
    content = b"".join(pieces_of(AudioEncoder(AudioFormat(encoding=AudioEncoding.MP3)), waveform))
    back, sample_rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert sample_rate == 16_000
    scores = np.correlate(back, waveform[10_000:30_000], "valid")
    delay = int(scores.argmax()) - 10_000
    assert 0 <= delay < 1_700
    assert np.abs(back[delay : delay + NUM_SAMPLES] - waveform[: len(back) - delay]).max() < 0.05


def test_a_flac_declares_its_true_length(waveform: NDArray[np.float32]) -> None:
    content = encode_audio(waveform, AudioFormat(encoding=AudioEncoding.FLAC))
    assert soundfile.info(io.BytesIO(content)).frames == NUM_SAMPLES


def test_a_wav_of_known_length_declares_it(waveform: NDArray[np.float32]) -> None:
    content = encode_audio(waveform, AudioFormat(encoding=AudioEncoding.WAV, sample_rate=44_100))
    with wave.open(io.BytesIO(content)) as file:
        assert file.getnframes() == round(NUM_SAMPLES * 44_100 / 16_000)
        assert len(file.readframes(10**7)) == 2 * file.getnframes()


def test_a_streamed_wav_gets_its_length_by_a_new_header(waveform: NDArray[np.float32]) -> None:
    content = b"".join(pieces_of(AudioEncoder(AudioFormat(encoding=AudioEncoding.WAV)), waveform))
    stored = wav_header(16_000, NUM_SAMPLES) + content[44:]
    with wave.open(io.BytesIO(stored)) as file:
        assert file.getnframes() == NUM_SAMPLES


def test_loud_samples_are_clipped_not_wrapped() -> None:
    content = encode_audio(np.array([2.0, -2.0, 1.0, -1.0], np.float32), AudioFormat())
    assert np.frombuffer(content, "<i2").tolist() == [32767, -32768, 32767, -32768]


def test_no_audio_is_still_a_file() -> None:
    content = AudioEncoder(AudioFormat(encoding=AudioEncoding.WAV)).finish()
    assert content == wav_header(16_000, None)


def test_answers_default_to_16_bit_pcm_at_16_khz() -> None:
    assert output_format(AudioFormat()) == AudioFormat(
        encoding=AudioEncoding.PCM_S16LE, sample_rate=16_000, num_channels=1
    )


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(InvalidAudioError, match="MP3 cannot be written at 96000"):
        output_format(AudioFormat(encoding=AudioEncoding.MP3, sample_rate=96_000))
    with pytest.raises(InvalidAudioError, match="OPUS cannot be written at 44100"):
        output_format(AudioFormat(encoding=AudioEncoding.OPUS, sample_rate=44_100))
    with pytest.raises(LimitExceededError, match="300000"):
        output_format(AudioFormat(sample_rate=300_000))
    with pytest.raises(InvalidAudioError, match="mono"):
        output_format(AudioFormat(num_channels=2))


def test_opus_may_be_declared_as_what_it_is_or_as_ogg(waveform: NDArray[np.float32]) -> None:
    content = encode_audio(waveform, AudioFormat(encoding=AudioEncoding.OPUS))
    assert b"OpusHead" in content[:64]
    for declared in (AudioEncoding.OPUS, AudioEncoding.OGG, AudioEncoding.AUTO):
        back = decode_audio(content, encoding=declared)
        assert len(back) == NUM_SAMPLES + 160
        assert np.abs(back[:NUM_SAMPLES] - waveform).max() < 0.05


@pytest.mark.parametrize("encoding", [AudioEncoding.OGG, AudioEncoding.FLAC])
def test_minutes_in_one_call_are_written(encoding: AudioEncoding) -> None:
    content = encode_audio(np.zeros(200 * 16_000, np.float32), AudioFormat(encoding=encoding))
    assert len(decode_audio(content)) == 200 * 16_000
