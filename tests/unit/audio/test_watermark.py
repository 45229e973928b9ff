"""The mark is the same however the sound is cut, is found after what files go through, and by its key alone."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from uniaudio.audio.encode import encode_audio
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.watermark import Marker, WatermarkKey, embed
from uniaudio.audio.watermark_detector import (
    MAX_FALSE_ALARM_PROBABILITY,
    detect,
    find_mark,
    spectral_contrast,
)
from uniaudio.errors import InvalidInputError

RATE = 16_000
KEY = WatermarkKey(b"a key for tests only")
PAYLOAD = 0xBEEF

Floats = NDArray[np.float32]


def voice(seconds: float, seed: int = 0) -> Floats:
    """Something like speech: a gliding buzz and noise, swelling and fading four times a second."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * times)) / RATE
    buzz = sum(np.sin(number * phase) / number for number in range(1, 50))
    swell = 0.02 + np.square(np.sin(2 * np.pi * 2 * times))
    sound = swell * (0.1 * np.asarray(buzz) + 0.02 * rng.standard_normal(len(times)))
    return sound.astype(np.float32)


@pytest.fixture(scope="module")
def marked() -> Floats:
    return embed(voice(6.0), KEY, payload=PAYLOAD)


@pytest.mark.parametrize("position", [0, 1, 255, 256, 100_003])
@pytest.mark.parametrize("num_samples", [1, 300, 12_345])
def test_pieces_are_the_whole_bit_for_bit(position: int, num_samples: int) -> None:
    waveform = voice(1.0)[:num_samples]
    whole = embed(waveform, KEY, payload=PAYLOAD, position=position)
    marker = Marker(KEY, payload=PAYLOAD, position=position)
    rng = np.random.default_rng(position)
    pieces, start = [], 0
    while start < num_samples:
        size = int(rng.integers(1, 900))
        pieces.append(marker.feed(waveform[start : start + size]))
        start += size
        assert start - sum(map(len, pieces)) <= 544 + size
    pieces.append(marker.finish())
    assert len(whole) == num_samples
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_no_sound_stays_no_sound() -> None:
    assert len(embed(np.zeros(0, np.float32), KEY)) == 0
    assert not embed(np.zeros(4_000, np.float32), KEY).any()
    assert not detect(np.zeros(4_000, np.float32), KEY).is_marked


def test_the_change_is_small(marked: Floats) -> None:
    change = marked - voice(6.0)
    assert np.square(change).sum() < 0.1 * np.square(marked).sum()


def test_silence_around_a_sound_stays_silence() -> None:
    waveform = voice(1.5)
    waveform[:8_000] = waveform[16_000:] = 0
    marked = embed(waveform, KEY)
    near = 32
    assert not marked[: 8_000 - near].any()
    assert not marked[16_000 + near :].any()
    assert (marked != waveform)[8_000:16_000].mean() > 0.99


def test_nothing_that_is_added_is_louder_than_the_sound_beside_it() -> None:
    waveform = voice(1.0) * np.where(np.arange(RATE) // 1_000 % 2, 1, 1e-4).astype(np.float32)
    added = np.abs(embed(waveform, KEY).astype(np.float64) - waveform)
    beside = np.lib.stride_tricks.sliding_window_view(np.abs(np.pad(waveform, 32)), 65).max(axis=1)
    assert (added <= 1.0001 * beside).all()


def test_the_mark_and_its_payload_are_found(marked: Floats) -> None:
    found = detect(marked, KEY)
    assert found.is_marked
    assert found.payload == PAYLOAD
    assert found.false_alarm_probability < 1e-12
    assert found.spans[0][0] == 0
    assert found.spans[-1][1] == pytest.approx(6.0, abs=0.05)


def test_an_expected_payload_is_found_in_less_sound(marked: Floats) -> None:
    crop = marked[40_000:46_000]
    known, unknown, wrong = (detect(crop, KEY, expected=payload).score for payload in (PAYLOAD, None, 0))
    assert known > unknown
    assert wrong == unknown


def test_nothing_is_found_without_it_or_by_another_key(marked: Floats) -> None:
    for waveform, key in ((voice(6.0), KEY), (marked, WatermarkKey(b"some other key!!"))):
        found = detect(waveform, key)
        assert not found.is_marked
        assert (found.spans, found.payload) == ((), None)


def _through(encoding: AudioEncoding, waveform: Floats, rate: int = RATE) -> Floats:
    written = AudioFormat(encoding=encoding, sample_rate=rate)
    return decode_audio(encode_audio(waveform, written))


def _resampled(waveform: Floats, rate: int) -> Floats:
    return np.asarray(soxr.resample(soxr.resample(waveform, RATE, rate), rate, RATE), np.float32)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda waveform: _through(AudioEncoding.MP3, waveform), id="mp3"),
        pytest.param(lambda waveform: _through(AudioEncoding.FLAC, waveform), id="flac"),
        pytest.param(lambda waveform: _through(AudioEncoding.WAV, waveform, 22_050), id="22050"),
        pytest.param(lambda waveform: _resampled(waveform, 44_100), id="44100"),
        pytest.param(lambda waveform: _resampled(waveform, 8_000), id="8000"),
        pytest.param(lambda waveform: 0.1 * waveform, id="quieter"),
        pytest.param(lambda waveform: waveform[23_457:71_457], id="three seconds of it"),
        pytest.param(
            lambda waveform: waveform + 0.002 * np.random.default_rng(1).standard_normal(len(waveform)),
            id="noise",
        ),
    ],
)
def test_the_mark_survives(marked: Floats, change) -> None:
    assert detect(np.asarray(change(marked), np.float32), KEY).is_marked


def test_a_marked_part_is_found_where_it_is() -> None:
    waveform = voice(9.0)
    start, end = 3 * RATE, 6 * RATE
    waveform[start:end] = embed(waveform[start:end], KEY, position=start)
    found = detect(waveform, KEY)
    assert found.is_marked
    assert found.spans[0][0] >= 2.0
    assert found.spans[-1][1] <= 7.1


def test_the_bound_on_false_alarms_holds() -> None:
    """Of many keys, no more than the told share does so well by chance."""
    num_keys = 1_000
    contrasts = [spectral_contrast(voice(0.6, seed)) for seed in range(4)]
    keys = [WatermarkKey(index.to_bytes(16, "big")) for index in range(num_keys)]
    found = [find_mark(contrasts[index % 4], key, expected=PAYLOAD) for index, key in enumerate(keys)]
    chances = np.array([detection.false_alarm_probability for detection in found])
    for level in (MAX_FALSE_ALARM_PROBABILITY, 1e-2, 0.1):
        assert (chances <= level).mean() <= level + 3 * np.sqrt(level / num_keys)


def test_a_key_does_not_tell_itself() -> None:
    assert KEY.secret.decode() not in repr(KEY)
    assert len(KEY.key_id) == 8


@pytest.mark.parametrize(
    "wrong",
    [lambda: WatermarkKey(b"short"), lambda: Marker(KEY, payload=1 << 16), lambda: Marker(KEY, payload=-1)],
)
def test_what_cannot_be_is_refused(wrong) -> None:
    with pytest.raises(InvalidInputError):
        wrong()
