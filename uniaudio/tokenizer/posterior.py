"""The diagonal Gaussian that the encoder describes for every frame (model specification 2.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

_MIN_STD = 1e-4


@dataclass(frozen=True)
class Posterior:
    """`mean` and `std`, float32, `(..., num_frames, latent_dim)`."""

    mean: Tensor
    std: Tensor

    @classmethod
    def from_parameters(cls, parameters: Tensor) -> Posterior:
        """Reads `(..., 2 * latent_dim)`: mean in the first half, scale before softplus in the second."""
        mean, scale = parameters.float().chunk(2, dim=-1)
        return cls(mean, softplus(scale) + _MIN_STD)

    @property
    def log_var(self) -> Tensor:
        """Logarithm of the variance."""
        return 2 * self.std.log()

    def sample(self, noise: Tensor) -> Tensor:
        """Latents for a standard normal draw of the mean's shape."""
        return self.mean + self.std * noise.to(self.mean)

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """Latents for noise drawn here, contiguous, from the generator."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.sample(noise)

    def kl(self) -> Tensor:
        """Divergence from the standard normal as the training objective counts it: no factor 1/2.

        Summed over channels, averaged over batch and frames.
        """
        per_channel = self.mean.square() + self.std.square() - self.log_var - 1
        return per_channel.sum(-1).mean()
