"""Whisper's front end: log-mel frames as its encoder was trained on, 100 a second, 80 or 128 bands."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

SAMPLE_RATE = 16000
HOP_LENGTH = 160
_FFT_SIZE = 400
_FLOOR = 1e-10
_RANGE_BELOW_PEAK = 8.0  # of log10 power: 80 dB
# The auditory scale: linear to 1 kHz, then 27 steps for every factor of 6.4.
_LINEAR_STEP_HZ = 200 / 3
_LINEAR_END_HZ = 1000.0
_LOGARITHMIC_STEP = math.log(6.4) / 27


def log_mel(waveform: Tensor, num_mels: int) -> Tensor:
    """Log-mel frames `(B, num_mels, num_samples / 160)` of `(B, num_samples)`, roughly between -1 and 1.5.

    Each item's loudest moment sets its floor, so items do not depend on each other.
    """
    window = torch.hann_window(_FFT_SIZE, device=waveform.device)
    spectrum = torch.stft(waveform, _FFT_SIZE, HOP_LENGTH, window=window, return_complex=True)
    power = spectrum[..., :-1].abs().square()
    logs = (slaney_filters(num_mels, _FFT_SIZE).to(power) @ power).clamp(min=_FLOOR).log10()
    floor = logs.amax((1, 2), keepdim=True) - _RANGE_BELOW_PEAK
    return (torch.maximum(logs, floor) + 4) / 4


@functools.cache
def slaney_filters(num_mels: int, fft_size: int) -> Tensor:
    """Triangles of equal area `(num_mels, fft_size / 2 + 1)`, evenly spaced on the auditory scale."""
    top = SAMPLE_RATE / 2
    edges = _to_hertz(torch.linspace(0, _to_mel(top), num_mels + 2, dtype=torch.float64))
    bins = torch.linspace(0, top, fft_size // 2 + 1, dtype=torch.float64)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clamp(min=0)
    return (triangles * 2 / (high - low)).float()


def _to_mel(hertz: float) -> float:
    corner = _LINEAR_END_HZ / _LINEAR_STEP_HZ
    if hertz < _LINEAR_END_HZ:
        return hertz / _LINEAR_STEP_HZ
    return corner + math.log(hertz / _LINEAR_END_HZ) / _LOGARITHMIC_STEP


def _to_hertz(mel: Tensor) -> Tensor:
    corner = _LINEAR_END_HZ / _LINEAR_STEP_HZ
    logarithmic = _LINEAR_END_HZ * torch.exp(_LOGARITHMIC_STEP * (mel - corner))
    return torch.where(mel < corner, mel * _LINEAR_STEP_HZ, logarithmic)
