"""Recordings in any form become the same mono 16 kHz waveform; whatever cannot be one is refused with reasons."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uniaudio.audio.encode import wav_header
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding
from uniaudio.audio.limits import AudioLimits
from uniaudio.audio.mp3 import frame_header
from uniaudio.errors import InvalidAudioError, LimitExceededError, UniaudioError


def tone(num_samples: int, sample_rate: int) -> NDArray[np.float32]:
    """A 300 Hz sine at -10 dB."""
    return (0.3 * np.sin(2 * np.pi * 300 * np.arange(num_samples) / sample_rate)).astype(np.float32)


def as_file(
    samples: NDArray[np.float32], sample_rate: int, name: str, subtype: str, **options: object
) -> bytes:
    """The samples `(num_frames,)` or `(num_frames, num_channels)` as a file."""
    sink = io.BytesIO()
    num_channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(
        sink, "w", sample_rate, num_channels, format=name, subtype=subtype, **options
    ) as file:
        file.write(samples)
    return sink.getvalue()


FILES = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def refusal(content: bytes, error: type[UniaudioError], **how: object) -> UniaudioError:
    """The error that decoding raises; it must say value, limit and remedy."""
    with pytest.raises(error) as caught:
        decode_audio(content, **how)  # type: ignore[arg-type]
    assert {"value", "limit", "remedy"} <= set(caught.value.metadata)
    return caught.value


@pytest.mark.parametrize(("name", "subtype"), FILES)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_every_file_form_gives_the_tone(name: str, subtype: str, num_channels: int) -> None:
    samples = np.stack([tone(48_000, 48_000)] * num_channels, axis=1)
    waveform = decode_audio(as_file(samples, 48_000, name, subtype))
    # ADPCM and lossy formats may pad the end, and Opus loses a little of it.
    assert waveform.dtype == np.float32
    assert abs(len(waveform) - 16_000) < 1_200
    middle = slice(4_000, 12_000)
    assert np.abs(waveform[middle] - tone(16_000, 16_000)[middle]).max() < 0.05


@pytest.mark.parametrize("sample_rate", [4_000, 8_000, 11_025, 16_000, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("encoding", [AudioEncoding.PCM_S16LE, AudioEncoding.PCM_F32LE])
def test_raw_pcm_of_any_rate_keeps_its_duration(sample_rate: int, encoding: AudioEncoding) -> None:
    samples = tone(sample_rate, sample_rate)
    raw = (samples * 32767).astype("<i2") if encoding is AudioEncoding.PCM_S16LE else samples.astype("<f4")
    waveform = decode_audio(raw.tobytes(), encoding=encoding, sample_rate=sample_rate)
    assert len(waveform) == 16_000
    assert np.abs(waveform[2_000:14_000] - tone(16_000, 16_000)[2_000:14_000]).max() < 0.01


def test_eight_channels_are_averaged() -> None:
    channels = np.stack([tone(16_000, 16_000) * gain for gain in range(8)], axis=1) / 8
    waveform = decode_audio(as_file(channels, 16_000, "WAV", "FLOAT"))
    np.testing.assert_allclose(waveform, channels.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("bitrate_mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_an_mp3_without_a_tag_is_read_to_its_end(bitrate_mode: str) -> None:
    loudness = np.linspace(0, 1, 64_000, dtype=np.float32)
    whole = as_file(
        tone(64_000, 16_000) * loudness, 16_000, "MP3", "MPEG_LAYER_III", bitrate_mode=bitrate_mode
    )
    tag = frame_header(whole, 0)
    assert tag is not None
    assert abs(len(decode_audio(whole[tag.size_bytes :])) - 64_000) < 2_000


def test_a_streamed_wav_of_undeclared_length_is_read() -> None:
    samples = (tone(16_000, 16_000) * 32767).astype("<i2").tobytes()
    assert len(decode_audio(wav_header(16_000, None) + samples)) == 16_000


def test_nothing_is_refused() -> None:
    assert "empty" in refusal(b"", InvalidAudioError).message


def test_one_sample_is_refused_with_the_shortest_length() -> None:
    error = refusal(as_file(tone(1, 16_000), 16_000, "WAV", "PCM_16"), InvalidAudioError)
    assert "1 samples" in error.message
    assert "100 ms" in error.metadata["limit"]


def test_other_bytes_are_refused() -> None:
    assert "none of WAV" in refusal(b"GIF89a" + bytes(100), InvalidAudioError).message


def test_more_bytes_than_allowed_are_refused_before_they_are_read() -> None:
    error = refusal(b"RIFF" * 30, LimitExceededError, limits=AudioLimits(max_encoded_bytes=100))
    assert error.metadata["value"] == "120"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 32_767.0])
@pytest.mark.parametrize("is_file", [True, False])
def test_samples_that_are_no_numbers_in_range_are_refused_by_position(value: float, is_file: bool) -> None:
    samples = tone(16_000, 16_000)
    samples[70] = value
    if is_file:
        error = refusal(as_file(samples, 16_000, "WAV", "FLOAT"), InvalidAudioError)
    else:
        error = refusal(samples.tobytes(), InvalidAudioError, encoding="pcm_f32le", sample_rate=16_000)
    assert "sample 70 " in error.message


@pytest.mark.parametrize(("name", "subtype"), FILES)
@pytest.mark.parametrize("kept", [0.03, 0.5, 0.999])
def test_a_truncated_file_is_refused(name: str, subtype: str, kept: float) -> None:
    content = as_file(tone(32_000, 16_000), 16_000, name, subtype)
    refusal(content[: int(len(content) * kept)], InvalidAudioError)


def test_a_wav_that_promises_more_than_it_has_is_refused() -> None:
    content = bytearray(as_file(tone(16_000, 16_000), 16_000, "WAV", "PCM_16"))
    struct.pack_into("<I", content, 40, 3_200_000)
    error = refusal(bytes(content), InvalidAudioError)
    assert error.metadata["value"] == "its header declares 3200000 bytes of samples"
    assert error.metadata["limit"] == "32000 are there"


def test_a_wav_whose_frames_do_not_fit_its_layout_is_refused() -> None:
    content = bytearray(as_file(tone(16_000, 16_000), 16_000, "WAV", "PCM_16"))
    struct.pack_into("<H", content, 22, 3)
    refusal(bytes(content), InvalidAudioError)


def _redeclare(flac: bytes, num_frames: int) -> bytes:
    """A FLAC file whose header claims another length."""
    changed = bytearray(flac)
    packed = int.from_bytes(changed[18:26], "big") & ~(2**36 - 1) | num_frames
    changed[18:26] = packed.to_bytes(8, "big")
    return bytes(changed)


@pytest.mark.parametrize("claimed", [100, 15_999, 16_001, 900_000])
def test_a_flac_that_lies_about_its_length_is_refused(claimed: int) -> None:
    flac = as_file(tone(16_000, 16_000), 16_000, "FLAC", "PCM_16")
    assert str(claimed) in refusal(_redeclare(flac, claimed), InvalidAudioError).message


def test_a_flac_of_undeclared_length_is_read() -> None:
    flac = as_file(tone(16_000, 16_000), 16_000, "FLAC", "PCM_16")
    assert len(decode_audio(_redeclare(flac, 0))) == 16_000


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Ten minutes of eight-channel silence at 192 kHz: under a megabyte, 1.8 GB unpacked."""
    sink = io.BytesIO()
    silence = np.zeros((192_000, 8), dtype=np.int16)
    with soundfile.SoundFile(sink, "w", 192_000, 8, format="FLAC") as file:
        for _ in range(60):
            file.write(silence)
    return sink.getvalue()


def test_a_bomb_is_refused_by_its_header(bomb: bytes) -> None:
    limits = AudioLimits(max_decoded_samples=10_000_000)
    calls = []
    error = refusal(bomb, LimitExceededError, limits=limits, check=lambda: calls.append(1))
    assert "92160000 samples" in error.message
    assert not calls


@pytest.mark.parametrize("claimed", [0, 1_000])
def test_a_bomb_that_hides_its_length_is_stopped_at_the_limit(bomb: bytes, claimed: int) -> None:
    calls: list[int] = []
    limits = AudioLimits(max_decoded_samples=10_000_000)
    refusal(_redeclare(bomb, claimed), LimitExceededError, limits=limits, check=lambda: calls.append(1))
    assert len(calls) * 65_536 * 8 <= 10_000_000


def test_three_hours_are_refused_by_the_header() -> None:
    flac = as_file(np.zeros(16_000, np.float32), 16_000, "FLAC", "PCM_16")
    error = refusal(_redeclare(flac, 3 * 3600 * 16_000), LimitExceededError)
    assert (error.metadata["value"], error.metadata["limit"]) == ("10800.0 s", "3600 s")


@pytest.mark.parametrize(
    ("sample_rate", "num_channels"), [(3_999, 1), (192_001, 1), (16_000, 9), (-1, 1), (16_000, -1)]
)
def test_layouts_outside_the_limits_are_refused(sample_rate: int, num_channels: int) -> None:
    how = {"encoding": "pcm_s16le", "sample_rate": sample_rate, "num_channels": num_channels}
    refusal(bytes(64_000), LimitExceededError, **how)


def test_raw_pcm_needs_a_rate_and_whole_frames() -> None:
    refusal(bytes(64_000), InvalidAudioError, encoding="pcm_s16le")
    error = refusal(bytes(64_001), InvalidAudioError, encoding="pcm_s16le", sample_rate=16_000)
    assert "inside a frame" in error.message


def test_declarations_must_agree_with_the_file() -> None:
    wav = as_file(tone(16_000, 16_000), 16_000, "WAV", "PCM_16")
    assert "FLAC but is WAV" in refusal(wav, InvalidAudioError, encoding="flac").message
    assert "8000" in refusal(wav, InvalidAudioError, sample_rate=8_000).message
    assert len(decode_audio(wav, encoding="wav", sample_rate=16_000)) == 16_000


def test_a_caller_can_give_up_between_blocks() -> None:
    def give_up() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        decode_audio(as_file(tone(16_000, 16_000), 16_000, "WAV", "PCM_16"), check=give_up)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FILES[:-1]),  # the MP3 library writes about damage to stderr
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=5),
    st.floats(0, 1),
)
def test_damaged_files_never_fail_otherwise(
    form: tuple[str, str], damage: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(as_file(tone(4_000, 16_000), 16_000, *form))
    for place, value in damage:
        content[int(place * len(content))] = value
    try:
        waveform = decode_audio(bytes(content[: max(1, int(len(content) * kept))]))
    except UniaudioError:
        return
    assert np.isfinite(waveform).all()


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"RIFF\xff\xff\xff\x7fWAVE" + b"junk\0\0\0\0" * 2_000_000, InvalidAudioError, "1000 chunks"),
        ((b"OggS\0\0" + bytes(21)) * 500_000, InvalidAudioError, "more than 361000 pages"),
        ((b"\xff\xf3\x14\xc0" + bytes(20)) * 500_000, LimitExceededError, "the limit is 3600 s"),
    ],
)
def test_headers_of_millions_of_parts_are_not_walked_to_their_end(
    content: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        decode_audio(content)
