"""Splices, and files that appear whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uniaudio.errors import InvalidAudioError
from uniaudio.evaluation.recordings import find_recordings, read_recording, splice, write_recording
from uniaudio.evaluation.suites.triplets import spliced


def ramp(num_samples: int) -> np.ndarray:
    return np.linspace(-0.5, 0.5, num_samples, dtype=np.float32)


def test_a_recording_cut_and_put_together_again_is_itself() -> None:
    whole = ramp(16000)
    np.testing.assert_allclose(splice([(whole, 0, 7000), (whole, 7000, 16000)]), whole, atol=1e-6)


def test_joins_fade_over_ten_milliseconds_around_the_cut() -> None:
    zeros, ones = np.zeros(4000, np.float32), np.ones(4000, np.float32)
    joined = splice([(zeros, 0, 2000), (ones, 2000, 4000)])
    assert len(joined) == 4000
    changing = np.flatnonzero((joined > 0) & (joined < 1))
    assert (changing[0], changing[-1]) == (1920, 2079)


def test_a_cut_at_the_end_has_nothing_to_fade_with() -> None:
    zeros, ones = np.zeros(2000, np.float32), np.ones(2000, np.float32)
    assert splice([(zeros, 0, 2000), (ones, 0, 2000)]).tolist() == [0.0] * 2000 + [1.0] * 2000


def test_the_oracle_takes_new_words_from_the_target() -> None:
    source, target = np.zeros(32000, np.float32), np.ones(48000, np.float32)
    old = [("a", 0.0, 1.0), ("c", 1.0, 2.0)]
    new = [("a", 0.0, 1.0), ("b", 1.0, 2.0), ("c", 2.0, 3.0)]
    edited = spliced(source, old, target, new)
    assert len(edited) == 48000
    assert edited[:15000].max() == 0
    assert edited[17000:31000].min() == 1
    assert edited[33000:].max() == 0
    assert len(spliced(target, new, source, old)) == 32000


def test_files(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "deep" / "a.wav", ramp(16000))
    np.testing.assert_allclose(read_recording(path), ramp(16000), atol=1e-4)
    assert list(find_recordings(tmp_path)) == [path]
    (tmp_path / "b.wav").write_bytes(b"nonsense")
    with pytest.raises(InvalidAudioError, match=r"b\.wav"):
        read_recording(tmp_path / "b.wav")
