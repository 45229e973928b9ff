"""Where a request's noise comes from.

Every request has a generator of its own and draws in its own order, contiguous and on the host, so
the same seed gives the same noise whatever else runs, on every device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor


class NoiseSource(Protocol):
    """Gives each patch its noise, in order."""

    def next_patch(self, num_steps: int, patch_size: int, latent_dim: int) -> tuple[Tensor, Tensor]:
        """Initial noise `(P, C)` and the solver's step noise `(num_steps - 1, P, C)`, float32, host."""
        ...


class SeededNoise:
    """Standard normal noise from a seed, 0 to 2**64 - 1."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def next_patch(self, num_steps: int, patch_size: int, latent_dim: int) -> tuple[Tensor, Tensor]:
        drawn = torch.randn(num_steps, patch_size, latent_dim, generator=self._generator)
        return drawn[0], drawn[1:]


class RecordedNoise:
    """Noise recorded elsewhere: pairs of initial `(P, C)` and step noise `(num_steps - 1, P, C)`.

    Surplus step noise is ignored: the reference draws once more than it uses. Running out of
    patches raises `LookupError`, which fails that request alone.
    """

    def __init__(self, patches: Iterable[tuple[Tensor, Tensor]]) -> None:
        self._patches: Iterator[tuple[Tensor, Tensor]] = iter(patches)

    def next_patch(self, num_steps: int, patch_size: int, latent_dim: int) -> tuple[Tensor, Tensor]:
        pair = next(self._patches, None)
        if pair is None:
            raise LookupError("the recorded noise has no further patch; record a longer run")
        initial, steps = pair
        return initial.reshape(patch_size, latent_dim), steps[: num_steps - 1]
