"""The adversarial game: who pays for what, and that shares of a batch add up to the whole."""

import pytest
import torch

from training.objectives.adversarial import Adversary, feature_matching
from training.objectives.discriminators import DiscriminatorConfig, Discriminators
from uniaudio.errors import CheckpointError, InvalidAudioError

SMALL = DiscriminatorConfig(
    periods=(2, 3), period_channels=2, fft_sizes=(64,), spectrum_channels=2, num_layers=2
)


@pytest.fixture
def adversary():
    torch.manual_seed(0)
    return Adversary(SMALL)


def waveforms(num_items=4, num_samples=961):
    return 0.3 * torch.randn(num_items, num_samples, generator=torch.Generator().manual_seed(1))


def test_the_fake_gets_no_gradient_from_the_discriminators_loss_and_their_weights_do(adversary):
    fake = waveforms().requires_grad_()
    adversary.discriminator_loss(waveforms(), fake).backward()
    assert fake.grad is None
    assert all(p.grad is not None for p in adversary.discriminators.parameters())


def test_the_generators_losses_reach_the_fake_and_no_weight(adversary):
    fake = (waveforms() * 0.5).requires_grad_()
    losses = adversary.generator_losses(waveforms(), fake)
    (losses.adversarial + losses.feature_matching).backward()
    assert fake.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in adversary.discriminators.parameters())


def test_losses_of_shares_add_up_to_those_of_the_whole(adversary):
    real, fake = waveforms(), waveforms().flip(0) * 0.7
    whole = torch.stack([adversary.discriminator_loss(real, fake), *adversary.generator_losses(real, fake)])
    shares = [
        len(real[part])
        / len(real)
        * torch.stack(
            [
                adversary.discriminator_loss(real[part], fake[part]),
                *adversary.generator_losses(real[part], fake[part]),
            ]
        )
        for part in (slice(0, 1), slice(1, 4))
    ]
    torch.testing.assert_close(sum(shares), whole)


def test_equal_waveforms_match_and_louder_ones_do_not(adversary):
    real = waveforms()
    judged = adversary.discriminators(real)
    assert feature_matching(judged, judged) == 0
    assert adversary.generator_losses(real, 2 * real).feature_matching > 0.05


def test_the_discriminators_learn_to_tell_noise_from_tones(adversary):
    tones = torch.sin(torch.arange(961) * torch.tensor([[0.1], [0.2], [0.3], [0.4]]))
    optimizer = torch.optim.Adam(adversary.discriminators.parameters(), 1e-2)
    before = adversary.discriminator_loss(tones, waveforms()).item()
    for _ in range(20):
        optimizer.zero_grad()
        loss = adversary.discriminator_loss(tones, waveforms())
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * before


def test_silence_gives_finite_gradients(adversary):
    fake = torch.zeros(2, 961, requires_grad=True)
    losses = adversary.generator_losses(torch.zeros(2, 961), fake)
    (losses.adversarial + losses.feature_matching).backward()
    assert fake.grad.isfinite().all()


@pytest.mark.parametrize("fake", [waveforms(4, 30), waveforms(3), waveforms()[:, None]])
def test_waveforms_that_cannot_be_compared_are_refused(adversary, fake):
    real = fake if fake.shape[-1] == 30 else waveforms()
    with pytest.raises(InvalidAudioError, match="at least 33 samples"):
        adversary.generator_losses(real, fake)


def test_sizes_come_from_the_published_fields_and_others_are_tolerated():
    config = DiscriminatorConfig.from_config(
        {
            "hifi_gan_disc_kwargs": {
                "periods": [2, 5],
                "channels": 4,
                "channel_increasing_factor": 3,
                "x": 1,
            },
            "spec_disc_kwargs": {
                "stft_params": {"fft_sizes": [32]},
                "channels": 2,
                "max_downsample_channels": 8,
            },
        }
    )
    assert (config.periods, config.fft_sizes) == ((2, 5), (32,))
    assert (config.period_channels, config.period_growth, config.spectrum_max_channels) == (4, 3, 8)
    assert len(Discriminators(config).members) == 3
    assert DiscriminatorConfig.from_config({}) == DiscriminatorConfig()


@pytest.mark.parametrize("periods", [3, [2, "3"], [0], [1]])
def test_a_field_that_makes_no_sense_is_refused(periods):
    with pytest.raises(CheckpointError, match="periods"):
        DiscriminatorConfig.from_config({"hifi_gan_disc_kwargs": {"periods": periods}})
