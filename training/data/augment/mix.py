"""Speech and noise at a stated ratio (evaluation facts 4.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uniaudio.errors import InvalidAudioError

Waveform = NDArray[np.float32]
MAX_PEAK = 0.95
_FRAME = 320  # 20 ms
_ACTIVE_DB = 40.0
_FADE = 800  # 50 ms


def active_power(waveform: Waveform) -> float:
    """Mean square over the 20 ms frames that lie within 40 dB of the loudest, so that pauses do not count."""
    num_frames = max(1, -(-waveform.size // _FRAME))
    padded = np.zeros(num_frames * _FRAME)
    padded[: waveform.size] = waveform
    power = np.square(padded).reshape(num_frames, _FRAME).mean(axis=1)
    return float(power[power >= power.max() * 10 ** (-_ACTIVE_DB / 10)].mean())


def mix_at_snr(speech: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """`speech + g * noise`, so that their active powers differ by `snr_db` dB; both `(num_samples,)`.

    The sum may exceed 1: see `lower_together`. Raises InvalidAudioError for unequal lengths or silence,
    which has no ratio to anything.
    """
    if speech.shape != noise.shape or speech.size == 0:
        raise InvalidAudioError(
            f"speech of {speech.size} and noise of {noise.size} samples cannot be mixed: fit the noise first"
        )
    of_speech, of_noise = active_power(speech), active_power(noise)
    if min(of_speech, of_noise) < 1e-12:
        raise InvalidAudioError("one side of the mix is silent, so no ratio can be kept: give a signal")
    gain = np.sqrt(of_speech / (of_noise * 10 ** (snr_db / 10)))
    return np.asarray(speech + np.float32(gain) * noise, np.float32)


def lower_together(*waveforms: Waveform) -> tuple[Waveform, ...]:
    """The waveforms times one gain, at most 1, with which none of them exceeds 0.95."""
    peak = max(float(np.abs(waveform).max(initial=0.0)) for waveform in waveforms)
    if peak <= MAX_PEAK:
        return waveforms
    return tuple(waveform * np.float32(MAX_PEAK / peak) for waveform in waveforms)


def fit_length(waveform: Waveform, num_samples: int, rng: np.random.Generator) -> Waveform:
    """`num_samples` of it from a random place; too short a one goes on from its beginning, faded over 50 ms.

    Raises InvalidAudioError for a waveform shorter than two fades that would have to be looped.
    """
    if waveform.size >= num_samples:
        start = int(rng.integers(waveform.size - num_samples + 1))
        return waveform[start : start + num_samples]
    if waveform.size < 2 * _FADE:
        raise InvalidAudioError(
            f"{waveform.size} samples are too few to be looped: give at least {2 * _FADE} (0.1 s)"
        )
    ramp = ((np.arange(_FADE) + 0.5) / _FADE).astype(np.float32)
    period = waveform.size - _FADE
    loop = waveform[:period].copy()
    loop[:_FADE] = ramp * waveform[:_FADE] + (1 - ramp) * waveform[period:]
    start = int(rng.integers(period))
    return np.take(loop, np.arange(start, start + num_samples), mode="wrap")
