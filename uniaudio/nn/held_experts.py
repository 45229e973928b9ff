"""Routed experts of which this process holds some and other ranks the rest.

The rank that runs a model asks the others for the results of their experts and sums them itself, in the order
of choice. So what comes out does not depend on how many ranks there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from uniaudio.nn.moe import Experts, weighted_sum


class OtherRanks(Protocol):
    """Who holds the experts that are not held here."""

    def begin(self, layer: int, x: Tensor, ids: Tensor, results: Tensor) -> None:
        """Has the others work: rows `x` `(N, dim)` go to their experts among `ids` `(N, k)`.

        `results` `(N * k, dim)`, an assignment's a row, is filled by `end`, but for the experts held here.
        """
        ...

    def end(self) -> None:
        """Returns when the results are there; RankLostError names the rank that did not answer."""
        ...


@dataclass(frozen=True)
class ExpertShare:
    """The experts that this rank holds of every layer, and who has the others."""

    held: range
    others: OtherRanks


def held_experts(num_experts: int, rank: int, num_ranks: int) -> range:
    """The experts that a rank holds of every layer: neighbours, as evenly as may be."""
    return range(num_experts * rank // num_ranks, num_experts * (rank + 1) // num_ranks)


class HeldExperts(Experts):
    """Some of a layer's experts; with `others`, takes and gives what all of them would."""

    def __init__(
        self, dim: int, intermediate_dim: int, held: range, layer: int, others: OtherRanks | None = None
    ) -> None:
        super().__init__(dim, intermediate_dim, len(held))
        self.held, self.layer, self.others = held, layer, others

    def forward(self, x: Tensor, weights: Tensor, ids: Tensor) -> Tensor:
        """See `Experts.forward`."""
        assert self.others is not None
        num_rows, top_k = ids.shape
        if num_rows == 0:
            return x
        results = x.new_empty(num_rows * top_k, x.shape[-1])
        self.others.begin(self.layer, x, ids, results)
        results[places_of(self.held, ids)] = self.results(x, ids)
        self.others.end()
        return weighted_sum(results.view(num_rows, top_k, -1), weights).to(x.dtype)

    def results(self, x: Tensor, ids: Tensor) -> Tensor:
        """Outputs `(M, dim)` of the assignments whose expert is held here, in their order."""
        places = places_of(self.held, ids)
        if not len(places):
            return x.new_empty(0, x.shape[-1])
        return self._each(x, places // ids.shape[1], ids.flatten()[places] - self.held.start)


def places_of(held: range, ids: Tensor) -> Tensor:
    """Which assignments, counted over `ids` `(N, k)` row by row, go to the experts `held`."""
    flat = ids.flatten()
    return ((flat >= held.start) & (flat < held.stop)).nonzero().flatten()
