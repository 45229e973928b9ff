"""Long recordings are cut at their pauses, into windows the model can read, and nothing is lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.orchestrator.windows import cut_at_every_pause, cut_at_pauses, frame_levels
from tests.fakes_speech import silence, speech_like, tone


def test_a_short_recording_is_one_window() -> None:
    assert cut_at_pauses(tone(3.0), 80.0) == [(0, 48_000)]


def test_cuts_fall_into_the_pauses() -> None:
    waveform = speech_like(3.0, 2.5, 3.5, 3.0)
    spans = cut_at_pauses(waveform, 5.0)
    assert len(spans) >= 3
    for _, end in spans[:-1]:
        assert np.abs(waveform[end - 1_600 : end + 1_600]).max() == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400_000), st.floats(1.0, 12.0), st.integers(0, 2**31))
def test_windows_cover_everything_and_never_exceed_the_limit(length: int, limit: float, seed: int) -> None:
    waveform = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    spans = cut_at_pauses(waveform, limit)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(previous[1] == following[0] for previous, following in pairwise(spans))
    assert all(0 < end - start <= limit * 16_000 for start, end in spans)
    # No rest so short that the model has nothing to read.
    assert len(spans) == 1 or min(end - start for start, end in spans) >= 0.2 * limit * 16_000


@pytest.mark.parametrize("level", [0.5, 0.01])
def test_levels_are_root_mean_squares(level: float) -> None:
    levels = frame_levels(np.concatenate([tone(0.1, level=level), silence(0.1)]))
    np.testing.assert_allclose(levels[:5], level / np.sqrt(2), rtol=1e-3)
    assert levels[5:].max() == 0


def test_every_pause_is_a_cut_for_a_model_that_reads_short_stretches() -> None:
    waveform = speech_like(1.5, 1.0, 2.0)
    spans = cut_at_every_pause(waveform, 5.0)
    assert len(spans) == 3
    for _, end in spans[:-1]:
        assert np.abs(waveform[end - 1_600 : end + 1_600]).max() == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400_000), st.floats(1.0, 12.0), st.integers(0, 2**31))
def test_stretches_cover_everything_too(length: int, limit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    waveform = rng.standard_normal(length).astype(np.float32)
    for start in rng.integers(0, max(1, length), 4).tolist():
        waveform[start : start + 8_000] = 0
    spans = cut_at_every_pause(waveform, limit)
    assert (spans[0][0], spans[-1][1]) == (0, length)
    assert all(previous[1] == following[0] for previous, following in pairwise(spans))
    assert all(end - start <= limit * 16_000 for start, end in spans)
