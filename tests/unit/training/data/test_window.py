"""A window asks for no more of the source than its stretch needs, and for enough."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.manifest import Row
from training.data.window import looped, resampled_length, stretch
from uniaudio.errors import InvalidInputError, LimitExceededError

RATES = st.sampled_from([8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])


def row(sample_rate, num_samples, start_sample=0):
    return Row(id="r", audio=Path("r"), sample_rate=sample_rate, num_samples=num_samples, start_sample=start_sample,
               corpus="c", split="s")  # fmt: skip


@given(RATES, st.integers(100, 400_000), st.integers(0, 10**6), st.floats(0, 1), st.integers(1, 100_000))
def test_a_stretch_lies_inside_its_utterance(sample_rate, num_samples, first, where, count):
    item = row(sample_rate, num_samples, first)
    total = resampled_length(item)
    start = int(where * (total - 1))
    window = stretch(item, start, count)
    assert window.count == min(count, total - start)
    assert first <= window.source_start
    assert window.source_start + window.source_count <= first + num_samples
    assert window.skip >= 0
    assert window.skip + window.count <= window.num_available
    # Where the source begins, a resampled sample lies exactly: the one `skip` before the stretch.
    assert (window.source_start - first) * 16000 == (start - window.skip) * sample_rate
    assert window.source_count <= (window.count + 1600) * sample_rate / 16000 + sample_rate


@given(RATES, st.integers(500, 50_000), st.integers(0, 10**6), st.integers(1, 20_000))
def test_a_loop_goes_round_the_recording(sample_rate, num_samples, start, count):
    item = row(sample_rate, num_samples)
    total = resampled_length(item)
    if start % total + count > 32 * total:
        with pytest.raises(InvalidInputError, match="use a longer recording"):
            looped(item, start, count)
        return
    window = looped(item, start, count)
    offset = window.source_start * 16000 // sample_rate
    taken = offset + np.arange(window.skip, window.skip + count) % window.num_available
    assert np.array_equal(taken % total, np.arange(start, start + count) % total)


def test_what_is_too_long_is_refused():
    with pytest.raises(LimitExceededError, match=r"700.0 s of 'r' are asked for, the limit is 600"):
        stretch(row(16000, 700 * 16000))
    assert stretch(row(16000, 700 * 16000), 16000, 1600).source_count == 1600
    with pytest.raises(LimitExceededError, match="the limit is 600"):
        looped(row(16000, 700 * 16000), 699 * 16000, 32000)
