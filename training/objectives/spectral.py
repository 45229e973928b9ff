"""Reconstruction losses: mel, magnitude and complex spectra at several scales, and the waveform itself."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

_MEL_SCALES = ((32, 5), (128, 20), (512, 40), (1024, 80), (2048, 160))  # window, mel bands
_SPECTRUM_SCALES = (128, 512, 1280)
_POWER = 0.3
_FLOOR = 1e-5


def mel_loss(estimate: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """L1 between log10 mel magnitudes, `(B,)`, summed over five scales; waveforms `(B, num_samples)`."""
    total = estimate.new_zeros(estimate.shape[0])
    with torch.autocast(estimate.device.type, enabled=False):  # a sum of bands in bfloat16 is coarse
        for window_length, num_bands in _MEL_SCALES:
            banks = mel_filters(sample_rate, window_length, num_bands).to(estimate.device)
            logs = [
                (magnitudes(x, window_length) @ banks).clamp_min(_FLOOR).log10() for x in (estimate, target)
            ]
            total = total + (logs[0] - logs[1]).abs().mean((1, 2))
    return total


def magnitude_and_complex_loss(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared errors, `(B,)` each, of spectra whose magnitudes are raised to 0.3.

    The first compares magnitudes alone, the second magnitudes with their phases.
    """
    magnitude = complex_ = estimate.new_zeros(estimate.shape[0])
    for window_length in _SPECTRUM_SCALES:
        spectra = [spectrum(x, window_length) for x in (estimate, target)]
        sizes = [(s.real.square() + s.imag.square() + _FLOOR**2).sqrt() for s in spectra]
        powers = [size.pow(_POWER) for size in sizes]
        magnitude = magnitude + (powers[0] - powers[1]).square().mean((1, 2))
        scaled = [s * (p / size) for s, p, size in zip(spectra, powers, sizes, strict=True)]
        difference = scaled[0] - scaled[1]
        complex_ = complex_ + (difference.real.square() + difference.imag.square()).mean((1, 2))
    return magnitude, complex_


def waveform_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference over the target's own mean absolute value, `(B,)`."""
    return (estimate - target).abs().mean(1) / (target.abs().mean(1) + 1e-3)


def spectrum(waveform: Tensor, window_length: int) -> Tensor:
    """Short-time spectrum `(B, num_windows, bins)`, hop a quarter window, in units of the amplitude."""
    window = torch.hann_window(window_length, device=waveform.device)
    transformed = torch.stft(
        waveform.float(),
        window_length,
        window_length // 4,
        window=window,
        center=False,
        return_complex=True,
    )
    return transformed.transpose(1, 2) / math.sqrt(window_length)


def magnitudes(waveform: Tensor, window_length: int) -> Tensor:
    """Magnitudes of `spectrum`, with a gradient that stays finite at silence."""
    found = spectrum(waveform, window_length)
    return (found.real.square() + found.imag.square() + _FLOOR**2).sqrt()


@functools.cache
def mel_filters(sample_rate: int, window_length: int, num_bands: int) -> Tensor:
    """Triangular mel filters `(bins, num_bands)`, each with a peak of 1, at least one bin wide."""
    num_bins = window_length // 2 + 1
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, num_bands + 2, dtype=torch.float64) / 2595) - 1)
    bins = torch.linspace(0, sample_rate / 2, num_bins, dtype=torch.float64)[:, None]
    width = sample_rate / window_length
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]).clamp_min(width)
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1]).clamp_min(width)
    return torch.minimum(rising, falling).clamp_min(0).float()
