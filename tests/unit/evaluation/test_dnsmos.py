"""DNSMOS's windows and its scale; the model itself where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uniaudio.evaluation.dnsmos import calibrate, find_dnsmos, windows


@pytest.mark.parametrize(("num_samples", "count"), [(72_000, 9), (195_056, 3), (144_160, 1)])
def test_short_recordings_are_doubled(num_samples: int, count: int) -> None:
    found = list(windows(np.zeros(num_samples, np.float32)))
    assert len(found) == count
    assert {len(window) for window in found} == {144_160}


def test_raw_outputs_are_calibrated() -> None:
    np.testing.assert_allclose(calibrate(np.array([3.0, 3.0, 3.0])), [2.912, 3.246, 2.783], atol=2e-3)


def test_clean_speech_is_above_noisy_speech(shared_dir: Path) -> None:
    judge = find_dnsmos(None)
    if judge is None:
        pytest.skip(
            "the packages speechmos and onnxruntime are not installed; the model comes with the first"
        )
    from uniaudio.evaluation.recordings import read_recording

    clean = read_recording(shared_dir / "speech" / "BAC009S0915W0283.wav")
    noise = np.random.default_rng(0).standard_normal(len(clean)) * np.sqrt(np.mean(clean**2) / 10)
    scores = [judge.rate_waveform(np.asarray(w, np.float32))["dnsmos_ovrl"] for w in (clean, clean + noise)]
    assert scores[0] > scores[1] + 0.8
