"""What the first latent channels are tied to in small models: the frame's own mel cepstrum.

Latents trained for reconstruction alone code mostly phase, which no small generator can predict. Tied to
a cepstrum of the sound up to the frame's end, the first channels are smooth in time and mean the same
for every voice; the flow head then has something to learn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from training.objectives.spectral import mel_filters

_NUM_BANDS = 40
_FLOOR = 1e-3
_LOUDNESS = 3.5  # the mean of the logarithms, negated, on synthetic speech


def mel_cepstrum(waveform: Tensor, hop_length: int, num_coefficients: int, sample_rate: int) -> Tensor:
    """Coefficients `(B, num_frames, num_coefficients)` of windows of two frames that end with each frame.

    Roughly of mean 0 and deviation 1 on speech at ordinary levels. `waveform` `(B, num_samples)`,
    a multiple of the hop.
    """
    window_length = 2 * hop_length
    padded = pad(waveform.float(), (hop_length, 0))
    windows = padded.unfold(-1, window_length, hop_length) * torch.hann_window(window_length).to(waveform)
    spectrum = torch.fft.rfft(windows).abs() / math.sqrt(window_length)
    banks = mel_filters(sample_rate, window_length, _NUM_BANDS).to(waveform)
    logs = (spectrum @ banks).clamp_min(_FLOOR).log()
    cepstrum: Tensor = (logs + _LOUDNESS) @ _scaled_cosines(num_coefficients).to(waveform)
    return cepstrum


def _scaled_cosines(num_coefficients: int) -> Tensor:
    """The cosine transform `(bands, coefficients)`, scaled to a deviation of 1 on synthetic speech."""
    band = (torch.arange(_NUM_BANDS) + 0.5)[:, None]
    order = torch.arange(num_coefficients)
    deviations = torch.where(order == 0, 0.21, torch.where(order == 1, 0.38, 0.45 + 0.1 * order))
    return torch.cos(math.pi * band * order / _NUM_BANDS) / math.sqrt(2 * _NUM_BANDS) * deviations
