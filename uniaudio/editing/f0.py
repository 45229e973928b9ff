"""How high a voice is: an autocorrelation pitch tracker, independent of the vocoder that shifts pitch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_SAMPLE_RATE = 16_000
HOP = 160
_WINDOW = 480
_MIN_LAG, _MAX_LAG = 18, 356  # 889 Hz to 45 Hz
_FRAME = _WINDOW + _MAX_LAG + 1
_FFT = 2048
_VOICED = 0.6  # least normalised correlation of a voiced frame
_NEAR_BEST = 0.9  # a shorter lag this near the best one wins: multiples of the period correlate as well
_QUIET_DB = 40.0
_BATCH = 2048


def track_f0(waveform: npt.NDArray[np.float32]) -> FloatArray:
    """Hz for every 10 ms of a 16 kHz waveform, `(num_frames,)`; NaN where nothing is voiced."""
    if waveform.size < _FRAME:
        return np.full(0, np.nan)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, _FRAME)[::HOP]
    loudness = np.concatenate([np.square(batch, dtype=np.float64).mean(axis=1) for batch in _batches(frames)])
    f0 = np.concatenate([_track(batch) for batch in _batches(frames)])
    floor = max(float(loudness.max()) * 10 ** (-_QUIET_DB / 10), 1e-10)
    return np.where(loudness > floor, f0, np.nan)


def _batches(frames: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    return [frames[start : start + _BATCH] for start in range(0, len(frames), _BATCH)]


def _track(frames: npt.NDArray[np.float32]) -> FloatArray:
    """F0 of each frame `(N, _FRAME)`, NaN where the best correlation is too low."""
    signal = frames.astype(np.float64) - frames.mean(axis=1, keepdims=True, dtype=np.float64)
    head = np.fft.rfft(signal[:, :_WINDOW], _FFT)
    correlation = np.fft.irfft(np.fft.rfft(signal, _FFT) * head.conj(), _FFT)[:, : _MAX_LAG + 1]
    power = np.pad(np.cumsum(np.square(signal), axis=1), ((0, 0), (1, 0)))
    energy = power[:, _WINDOW : _WINDOW + _MAX_LAG + 1] - power[:, : _MAX_LAG + 1]
    normalised = correlation / np.sqrt(np.maximum(energy * energy[:, :1], 1e-20))

    inner = normalised[:, _MIN_LAG:_MAX_LAG]
    peak = (inner >= normalised[:, _MIN_LAG - 1 : _MAX_LAG - 1]) & (
        inner >= normalised[:, _MIN_LAG + 1 : _MAX_LAG + 1]
    )
    height = np.where(peak, inner, -1.0)
    best = height.max(axis=1)
    lag = np.argmax(height >= _NEAR_BEST * best[:, None], axis=1) + _MIN_LAG
    rows = np.arange(len(lag))
    before, at, after = (normalised[rows, lag + step] for step in (-1, 0, 1))
    curve = np.minimum(before - 2 * at + after, -1e-9)
    refined = lag + np.clip(0.5 * (before - after) / curve, -0.5, 0.5)
    return np.where(best > _VOICED, _SAMPLE_RATE / refined, np.nan)
