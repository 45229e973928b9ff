"""The adversarial game over waveforms: least squares, and matching of what the discriminators see.

Every loss is a mean over the batch of what each item alone would give, so the shares of a step add up,
weighted by their sizes. Means are taken over layers and over discriminators too, so weights need not change
with their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.objectives.discriminators import DiscriminatorConfig, Discriminators, Judgement
from uniaudio.errors import InvalidAudioError

_SILENT_FEATURE = 1e-4


class GeneratorLosses(NamedTuple):
    """What the generator pays: for being found out, and for looking different inside."""

    adversarial: Tensor
    feature_matching: Tensor


class Adversary:
    """The generator's opponent, for an acoustic stage to hold; `modules` are its player's."""

    def __init__(self, config: DiscriminatorConfig | None = None) -> None:
        self.discriminators = Discriminators(config or DiscriminatorConfig())

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """What the discriminators' own player optimises."""
        return {"discriminators": self.discriminators}

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminators pay for `(B, num_samples)` of each kind.

        No gradient reaches `fake`. InvalidAudioError for waveforms shorter than half a transform.
        """
        self._check(real, fake)
        # Both kinds in one pass: twice the work of one kind, half the overhead.
        judged = self.discriminators(torch.cat((real, fake.detach())))
        losses = []
        for judgement in judged:
            on_real, on_fake = judgement.score.float().chunk(2)
            losses.append((on_real - 1).square().mean() + on_fake.square().mean())
        return torch.stack(losses).mean()

    def generator_losses(self, real: Tensor, fake: Tensor) -> GeneratorLosses:
        """What the generator pays; the discriminators' weights get no gradient."""
        self._check(real, fake)
        with _without_gradients(self.discriminators):
            with torch.no_grad():
                on_real = self.discriminators(real)
            on_fake = self.discriminators(fake)
        fooled = [(judgement.score.float() - 1).square().mean() for judgement in on_fake]
        return GeneratorLosses(torch.stack(fooled).mean(), feature_matching(on_real, on_fake))

    def _check(self, real: Tensor, fake: Tensor) -> None:
        shortest = self.discriminators.min_samples
        if real.shape != fake.shape or real.ndim != 2 or real.shape[1] < shortest:
            raise InvalidAudioError(
                f"waveforms of shapes {tuple(real.shape)} and {tuple(fake.shape)} cannot be compared; give both as "
                f"(B, num_samples) with at least {shortest} samples"
            )


def feature_matching(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """Mean absolute difference of features, as a part of the mean size that each item's real ones have."""
    distances = [
        _per_item((theirs - ours).float().abs()) / _per_item(theirs.float().abs()).clamp(min=_SILENT_FEATURE)
        for on_real, on_fake in zip(real, fake, strict=True)
        for theirs, ours in zip(on_real.features, on_fake.features, strict=True)
    ]
    return torch.stack(distances).mean()


def _per_item(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1)


@contextmanager
def _without_gradients(module: nn.Module) -> Iterator[None]:
    """Inside, the module's parameters count as constants; what was frozen before stays frozen."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
