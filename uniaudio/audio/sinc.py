"""Windowed-sinc resampling as the published model's recordings were resampled (torchaudio's default).

For numbers that must match the published ones; everything else resamples with `audio.resample`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from uniaudio.errors import InvalidInputError

_LOWPASS_WIDTH = 6
_ROLLOFF = 0.99


def resample_sinc(waveform: NDArray[np.float32], source_rate: int, target_rate: int) -> NDArray[np.float32]:
    """The waveform `(..., num_samples)` at another rate, `(..., ceil(num_samples * target / source))`.

    A Hann-windowed sinc with six zero crossings on each side and a roll-off of 0.99. Rates are
    whole numbers of Hz; anything else is refused with InvalidInputError.
    """
    if min(source_rate, target_rate) < 1:
        raise InvalidInputError(
            f"cannot resample from {source_rate} Hz to {target_rate} Hz; give positive rates",
            value=min(source_rate, target_rate),
            limit="at least 1",
            remedy="give positive rates",
        )
    divisor = math.gcd(source_rate, target_rate)
    source, target = source_rate // divisor, target_rate // divisor
    if source == target:
        return waveform.copy()
    num_samples = waveform.shape[-1]
    num_out = -(-num_samples * target // source)
    num_groups = -(-num_out // target)
    cutoff = min(source, target) * _ROLLOFF
    reach = math.ceil(_LOWPASS_WIDTH * source / cutoff)
    padding = [(0, 0)] * (waveform.ndim - 1) + [(reach, reach + (num_groups + 1) * source)]
    padded = np.pad(waveform, padding)
    out = np.empty((*waveform.shape[:-1], num_groups, target), dtype=np.float32)
    # Output `group * target + phase` lies `phase * source / target` after source sample `group * source`.
    for phase in range(target):
        start = phase * source // target
        taps = np.arange(start - reach, start + reach + 2)
        # The published kernel rounds this one quotient to float32; an exact one differs by 3e-5.
        distance = taps / source - float(np.float32(phase / target))
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis=-1)
        groups = windows[..., start : start + num_groups * source : source, :][..., :num_groups, :]
        out[..., phase] = groups @ _kernel(distance * cutoff, cutoff / source)
    return out.reshape(*waveform.shape[:-1], -1)[..., :num_out]


def _kernel(crossings: NDArray[np.float64], gain: float) -> NDArray[np.float32]:
    """Weights of source samples that lie this many zero crossings from the output's place."""
    crossings = np.clip(crossings, -_LOWPASS_WIDTH, _LOWPASS_WIDTH)
    window = np.cos(crossings * (np.pi / (2 * _LOWPASS_WIDTH))) ** 2
    weights: NDArray[np.float64] = np.sinc(crossings) * window * gain
    return weights.astype(np.float32)
