"""Outside an edit the result is the source bit for bit; the edit is found; doubt is said."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.editing.voices import SAMPLE_RATE, FloatArray, read_speech, vowels
from uniaudio.editing.splice import Splice, copy_untouched, cut_out, put_in

BEFORE, OLD, AFTER = vowels("0123", seed=1), vowels("44", seed=2), vowels("20140", seed=3)
MAX_CUT_ERROR_SECONDS = 0.06


def changed(waveform: FloatArray, seed: int) -> FloatArray:
    """The same sounds from a slightly other voice: level, spectrum, noise and rate differ."""
    noise = np.random.default_rng(seed)
    places = np.arange(0, waveform.size - 1, 1.04)
    stretched = np.interp(places, np.arange(waveform.size), waveform)
    tilted = stretched - 0.3 * np.pad(stretched, (1, 0))[:-1]
    return (0.6 * tilted + 5e-4 * noise.standard_normal(tilted.size)).astype(np.float32)


def assert_untouched(splice: Splice, source: FloatArray) -> None:
    assert splice.untouched_copied
    (span,) = splice.ranges
    source_start, source_end = (round(SAMPLE_RATE * seconds) for seconds in span.source)
    start, end = (round(SAMPLE_RATE * seconds) for seconds in span.result)
    assert np.array_equal(splice.waveform[:start], source[:source_start])
    assert np.array_equal(splice.waveform[end:], source[source_end:])
    assert np.isfinite(splice.waveform).all()


CASES = {
    "substitution": (OLD, vowels("331", seed=4)),
    "insertion": (OLD[:0], vowels("41", seed=5)),
    "deletion": (OLD, OLD[:0]),
}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_an_edit_in_the_middle(case: str, known: bool) -> None:
    old, new = CASES[case]
    source = np.concatenate([BEFORE, old, AFTER])
    generated = np.concatenate([changed(BEFORE, 1), new, changed(AFTER, 2)])
    start, end = BEFORE.size / SAMPLE_RATE, (BEFORE.size + old.size) / SAMPLE_RATE
    place = (start * SAMPLE_RATE / source.size, end * SAMPLE_RATE / source.size) if known else None
    splice = copy_untouched(source, generated, place)
    assert_untouched(splice, source)
    # Pauses of 60 ms stand at both ends: a cut anywhere in them is right.
    assert abs(splice.ranges[0].source[0] - start) < MAX_CUT_ERROR_SECONDS + 0.06
    assert abs(splice.ranges[0].source[1] - end) < MAX_CUT_ERROR_SECONDS + 0.06
    new_seconds = splice.ranges[0].result[1] - splice.ranges[0].result[0]
    assert new_seconds == pytest.approx(new.size / SAMPLE_RATE, abs=0.25)


@pytest.mark.parametrize("at_end", [True, False])
def test_an_edit_at_an_end(at_end: bool) -> None:
    source = np.concatenate([BEFORE, AFTER])
    new = vowels("33", seed=6)
    parts = [changed(BEFORE, 1), changed(AFTER, 2)]
    generated = np.concatenate([*parts, new] if at_end else [new, *parts])
    splice = copy_untouched(source, generated, (1.0, 1.0) if at_end else (0.0, 0.0))
    assert_untouched(splice, source)
    seconds = source.size / SAMPLE_RATE
    if at_end:
        assert splice.ranges[0].source[1] == pytest.approx(seconds)
        assert splice.ranges[0].source[0] > seconds - 0.25
    else:
        assert splice.ranges[0].source[0] == 0
        assert splice.ranges[0].source[1] < 0.25


def test_the_new_part_gets_the_level_of_the_source() -> None:
    old, new = CASES["substitution"]
    source = np.concatenate([BEFORE, old, AFTER])
    generated = (0.2 * np.concatenate([BEFORE, new, AFTER])).astype(np.float32)
    splice = copy_untouched(source, generated)
    start, end = (round(SAMPLE_RATE * seconds) for seconds in splice.ranges[0].result)
    level = np.sqrt(np.mean(splice.waveform[start:end] ** 2)) / np.sqrt(np.mean(new**2))
    assert level == pytest.approx(1.0, rel=0.25)


@pytest.mark.parametrize(
    "generated",
    [
        np.random.default_rng(0).standard_normal(48_000).astype(np.float32) * 0.1,
        np.zeros(48_000, np.float32),
        vowels("3333333", f0=230.0, seed=9),
        np.zeros(10, np.float32),
    ],
)
def test_audio_unlike_the_source_is_returned_in_full_with_a_warning(generated: FloatArray) -> None:
    source = np.concatenate([BEFORE, OLD, AFTER])
    splice = copy_untouched(source, generated)
    assert splice.waveform is generated
    assert not splice.untouched_copied
    assert splice.warnings
    assert splice.ranges[0].result == (0.0, generated.size / SAMPLE_RATE)


@pytest.mark.parametrize(
    ("name", "place", "start", "end"),
    [
        ("ins", (2 / 14, 2 / 14), 0.5, 0.5),
        ("del", (4 / 14, 8 / 14), 1.1, 2.3),
        ("sub", (2 / 14, 4 / 14), 0.5, 1.1),
    ],
)
def test_what_the_released_model_made(name: str, place, start: float, end: float, shared_dir) -> None:
    source = read_speech(shared_dir, "00004768-00000024.wav")
    generated = read_speech(shared_dir, f"reference-output/{name}.wav")
    splice = copy_untouched(source, generated, place)
    assert_untouched(splice, source)
    assert splice.ranges[0].source == pytest.approx((start, end), abs=0.1)


NAMES = (
    "00004768-00000024.wav",
    "10002287-00000094.wav",
    "BAC009S0915W0283.wav",
    "emotion_00004753-00000079.wav",
)


@pytest.mark.parametrize("name", NAMES)
def test_real_speech_with_a_foreign_middle(name: str, shared_dir) -> None:
    from uniaudio.editing.exact import change_speed

    source = read_speech(shared_dir, name)
    foreign = read_speech(shared_dir, "11302-4_1712960-1908016.wav")[16_000:26_000]
    # Quiet places, so that words stay whole.
    start, end = (_quietest(source, share) for share in (0.35, 0.6))
    noise = np.random.default_rng(1)

    def respoken(part: FloatArray, rate: float) -> FloatArray:
        part = changed(change_speed(part, rate), 3)
        return part + (1e-3 * noise.standard_normal(part.size)).astype(np.float32)

    generated = np.concatenate([respoken(source[:start], 1.05), foreign, respoken(source[end:], 0.96)])
    splice = copy_untouched(source, generated, (start / source.size, end / source.size))
    assert_untouched(splice, source)
    assert splice.ranges[0].source[0] == pytest.approx(start / SAMPLE_RATE, abs=MAX_CUT_ERROR_SECONDS)
    assert splice.ranges[0].source[1] == pytest.approx(end / SAMPLE_RATE, abs=MAX_CUT_ERROR_SECONDS)


def _quietest(waveform: FloatArray, share: float) -> int:
    middle = int(share * waveform.size)
    energy = np.convolve(waveform[middle - 4800 : middle + 4800] ** 2, np.ones(480), mode="same")
    return middle - 4800 + int(energy.argmin())


@pytest.mark.parametrize("new", [vowels("331", seed=4), OLD[:0]])
def test_an_edit_whose_place_is_known(new: FloatArray) -> None:
    source = np.concatenate([BEFORE, OLD, AFTER])
    generated = np.concatenate([changed(BEFORE, 1), new, changed(AFTER, 2)])
    start = changed(BEFORE, 1).size
    splice = put_in(source, generated, (BEFORE.size, BEFORE.size + OLD.size), (start, start + new.size))
    assert_untouched(splice, source)
    assert splice.waveform.size == pytest.approx(source.size - OLD.size + new.size, abs=0.1 * SAMPLE_RATE)
    assert splice.ranges[0].source[0] == pytest.approx(BEFORE.size / SAMPLE_RATE, abs=0.06)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (BEFORE.size, BEFORE.size + OLD.size),
        (0, BEFORE.size),
        (BEFORE.size + OLD.size, BEFORE.size + OLD.size + AFTER.size),
        (100, BEFORE.size),
    ],
)
def test_words_are_cut_out(start: int, end: int) -> None:
    source = np.concatenate([BEFORE, OLD, AFTER])
    splice = cut_out(source, start, end)
    assert_untouched(splice, source)
    assert splice.waveform.size == pytest.approx(source.size - (end - start), abs=0.02 * SAMPLE_RATE)
    assert np.abs(np.diff(splice.waveform)).max() <= 1.2 * np.abs(np.diff(source)).max(), "no click"


def test_nothing_is_put_into_what_is_too_short() -> None:
    source, generated = np.zeros(100, np.float32), BEFORE
    splice = put_in(source, generated, (0, 50), (0, 100))
    assert not splice.untouched_copied
    assert splice.warnings
