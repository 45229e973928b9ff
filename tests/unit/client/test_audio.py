"""What callers may hand in becomes the right message, or an error before anything is sent."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.fakes_server import wav_header
from uniaudio.client.audio import audio_message, output_message, samples_of, whole_file
from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError
from uniaudio.v1 import audio_pb2


def test_floats_travel_as_float32() -> None:
    message = audio_message(np.array([0.0, 0.5, -1.0]), 22050)
    assert message.format.encoding == audio_pb2.AUDIO_ENCODING_PCM_F32LE
    assert (message.format.sample_rate, message.format.num_channels) == (22050, 1)
    np.testing.assert_array_equal(np.frombuffer(message.content, "<f4"), [0.0, 0.5, -1.0])


def test_int16_stereo_is_interleaved() -> None:
    message = audio_message(np.array([[1, 2], [3, 4]], np.int16), 16000)
    assert message.format.encoding == audio_pb2.AUDIO_ENCODING_PCM_S16LE
    assert message.format.num_channels == 2
    assert np.frombuffer(message.content, "<i2").tolist() == [1, 2, 3, 4]


def test_files_and_bytes_carry_their_own_format(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF....")
    for source in (path, str(path), b"RIFF....", audio_pb2.Audio(content=b"RIFF....")):
        message = audio_message(source)
        assert message.content == b"RIFF...."
        assert message.format.encoding == audio_pb2.AUDIO_ENCODING_UNSPECIFIED


def test_missing_file_is_an_ordinary_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        audio_message(tmp_path / "none.wav")


def test_too_large_a_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(LimitExceededError, match="67108865"):
        audio_message(path)


@pytest.mark.parametrize("shape", [(2, 9), (1, 2, 3), ()])
def test_shapes_that_are_no_recording(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidAudioError, match="neither"):
        audio_message(np.zeros(shape), 16000)


def test_array_needs_its_rate() -> None:
    with pytest.raises(InvalidInputError, match="sample_rate"):
        audio_message(np.zeros(10))


def test_file_takes_no_rate() -> None:
    with pytest.raises(InvalidInputError, match="arrays only"):
        audio_message(b"RIFF", 16000)


def test_integers_of_unknown_scale_are_refused() -> None:
    with pytest.raises(InvalidAudioError, match="int64"):
        audio_message(np.zeros(10, np.int64), 16000)


def test_nothing_is_refused() -> None:
    with pytest.raises(InvalidAudioError, match="empty"):
        audio_message(b"")


def test_output_formats_by_name() -> None:
    assert output_message("flac", 48000) == audio_pb2.AudioFormat(
        encoding=audio_pb2.AUDIO_ENCODING_FLAC, sample_rate=48000
    )
    with pytest.raises(InvalidInputError, match="aiff"):
        output_message("aiff", None)  # type: ignore[arg-type]


def test_samples_of_raw_formats() -> None:
    assert samples_of(np.array([16384], "<i2").tobytes(), "pcm").tolist() == [0.5]
    assert samples_of(np.array([0.25], "<f4").tobytes(), "pcm_f32").tolist() == [0.25]
    with pytest.raises(InvalidInputError, match="pcm_f32"):
        samples_of(b"fLaC", "flac")


def test_streamed_wav_gets_its_true_length() -> None:
    content = whole_file(wav_header(16000) + bytes(2 * 100), "wav")
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnframes(), file.getframerate()) == (100, 16000)
    assert whole_file(b"OggS", "ogg") == b"OggS"
