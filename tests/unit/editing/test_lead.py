"""What surely comes before an edit."""

from __future__ import annotations

import numpy as np
import pytest

from uniaudio.editing.lead import samples_before

RATE = 16_000


def sentence(silence_seconds: float, speech_seconds: float) -> np.ndarray:
    """Silence, then something loud and changing, then silence."""
    time = np.arange(int(speech_seconds * RATE)) / RATE
    loud = 0.3 * np.sin(2 * np.pi * (200 + 80 * np.sin(9 * time)) * time)
    quiet = np.zeros(int(silence_seconds * RATE))
    return np.concatenate([quiet, loud, quiet]).astype(np.float32)


def test_it_is_counted_in_speech_and_errs_on_the_early_side() -> None:
    before = samples_before(sentence(1.0, 4.0), 0.5) / RATE
    assert before == pytest.approx(1.0 + 0.5 * 4.0 - 0.25 - 0.05 * 4.0, abs=0.05)


@pytest.mark.parametrize("fraction", [0.0, 0.05])
def test_nothing_comes_before_the_first_words(fraction: float) -> None:
    assert samples_before(sentence(0.0, 4.0), fraction) == 0


def test_nothing_comes_before_anything_in_silence() -> None:
    assert samples_before(np.zeros(RATE, np.float32), 0.5) == 0
