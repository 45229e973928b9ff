"""Reconstruction losses vanish on equality, grow with error, and see what they should."""

import pytest
import torch

from training.objectives.cepstral_anchor import mel_cepstrum
from training.objectives.spectral import magnitude_and_complex_loss, mel_filters, mel_loss, waveform_loss


@pytest.fixture
def speech():
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(10240) / 16000
    tones = sum(torch.sin(2 * torch.pi * f * time + 1) / (i + 1) for i, f in enumerate((140, 280, 900, 2500)))
    return torch.stack([0.1 * tones, 0.05 * torch.randn(10240, generator=generator)])


def test_equal_waveforms_cost_nothing(speech):
    assert mel_loss(speech, speech, 16000).abs().max() == 0
    assert waveform_loss(speech, speech).abs().max() == 0
    assert all(part.abs().max() < 1e-6 for part in magnitude_and_complex_loss(speech, speech))


def test_a_turned_phase_is_heard_by_the_complex_part_only(speech):
    magnitude, complex_ = magnitude_and_complex_loss(-speech, speech)
    assert magnitude.max() < 1e-6
    assert complex_.min() > 0.05


def test_silence_has_finite_gradients():
    silence = torch.zeros(1, 4096, requires_grad=True)
    loss = mel_loss(silence, torch.ones(1, 4096) * 0.1, 16000) + sum(
        magnitude_and_complex_loss(silence, torch.zeros(1, 4096))
    )
    loss.sum().backward()
    assert torch.isfinite(silence.grad).all()


def test_every_mel_band_hears_something():
    for window_length, bands in ((32, 5), (512, 40), (2048, 160)):
        assert (mel_filters(16000, window_length, bands).sum(0) > 0).all()


def test_the_cepstrum_knows_only_the_past(speech):
    whole = mel_cepstrum(speech, 320, 16, 16000)
    assert whole.shape == (2, 32, 16)
    changed = speech.clone()
    changed[:, 320 * 20 :] = 0
    torch.testing.assert_close(mel_cepstrum(changed, 320, 16, 16000)[:, :20], whole[:, :20])
