"""What two recordings of the same words have in common: normalised cepstra of 16 kHz speech."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
_SAMPLE_RATE = 16_000
_WINDOW = 400
_FFT = 512
_NUM_BANDS = 32
_NUM_CEPSTRA = 13
_QUIET_DB, _SILENT_DB = 28.0, 44.0  # under the loud frames: where quiet begins, and where silence does


def cepstra(waveform: FloatArray, hop: int) -> tuple[FloatArray, FloatArray]:
    """Unit vectors `(num_frames, 2 * 13)`, one per `hop` samples, and how silent frames are, 0 to 1.

    Cepstra with their slopes, mean and variance normalised over speech, so that level, channel and much
    of the voice cancel.
    """
    num_frames = max(1, waveform.size // hop)
    padded = np.pad(waveform, (_WINDOW // 2, _WINDOW + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[hop // 2 :: hop][:num_frames]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), _FFT)) ** 2
    power = spectrum.sum(axis=1)
    loud = float(np.percentile(power, 95)) if power.size else 0.0
    below = 10 * np.log10(max(loud, 1e-7) / np.maximum(power, 1e-12))
    silence = np.clip((below - _QUIET_DB) / (_SILENT_DB - _QUIET_DB), 0.0, 1.0)
    active = silence < 0.5

    bands = np.log(spectrum @ _mel_bands().T + max(loud, 1e-6) * 1e-6)
    static = bands @ _cosines().T
    slopes = np.gradient(static, axis=0) if len(static) > 1 else np.zeros_like(static)
    features = np.concatenate([static, 1.5 * slopes], axis=1)
    speech = features[active] if active.any() else features
    features = (features - speech.mean(axis=0)) / (speech.std(axis=0) + 1e-3)
    features /= np.linalg.norm(features, axis=1, keepdims=True) + 1e-6
    return features.astype(np.float32), silence.astype(np.float32)


@functools.cache
def _mel_bands() -> FloatArray:
    """Triangles on the mel scale from 80 Hz to 7.6 kHz, `(_NUM_BANDS, _FFT // 2 + 1)`."""
    mel = np.linspace(_to_mel(80.0), _to_mel(7600.0), _NUM_BANDS + 2)
    edges = 700 * (np.exp(mel / 1127) - 1)
    frequencies = np.arange(_FFT // 2 + 1) * _SAMPLE_RATE / _FFT
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - left) / (centre - left)
    falling = (right - frequencies) / (right - centre)
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)), np.float32)


def _to_mel(frequency: float) -> float:
    return float(1127 * np.log1p(frequency / 700))


@functools.cache
def _cosines() -> FloatArray:
    """Cosine transform without the level, `(_NUM_CEPSTRA, _NUM_BANDS)`."""
    order = np.arange(1, _NUM_CEPSTRA + 1)[:, None]
    return np.asarray(np.cos(np.pi * order * (np.arange(_NUM_BANDS) + 0.5) / _NUM_BANDS), np.float32)
