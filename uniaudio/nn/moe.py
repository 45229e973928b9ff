"""A sparse mixture of experts with one router per modality and a shared expert (specification 3.4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import grouped_mm, linear, silu

from uniaudio.nn.feed_forward import GatedFeedForward

ExpertChoice = Callable[[Tensor, int, Tensor | None], Tensor]
"""From probabilities `(N, E)`, k and the audio mask `(N,)` to expert ids `(N, k)`, best first."""


class Router(nn.Module):
    """Which experts a position goes to, and with what weights.

    `audio_gate` exists in models with one router per modality; it serves the rows that the audio
    mask marks, `gate` all others.
    """

    def __init__(self, dim: int, num_experts: int, top_k: int, *, normalize: bool, multi_gate: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, num_experts, bias=False)
        self.audio_gate = nn.Linear(dim, num_experts, bias=False) if multi_gate else None
        self.top_k = top_k
        # A single expert keeps its probability: renormalised, its weight would be 1 always.
        self.normalize = normalize and top_k > 1
        # Training may choose by more than the probabilities, and count; no checkpoint holds it.
        self.choose: ExpertChoice | None = None

    def forward(self, x: Tensor, audio_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weights `(N, k)` in float32 and expert ids `(N, k)`, best first, for `x` `(N, dim)`.

        `audio_mask` `(N,)`, bool: rows for the audio router; without that router it has no effect.
        """
        logits = self.gate(x)
        if self.audio_gate is not None and audio_mask is not None:
            logits = torch.where(audio_mask[:, None], self.audio_gate(x), logits)
        probabilities = logits.float().softmax(-1)
        if self.choose is None:
            weights, ids = probabilities.topk(self.top_k, dim=-1)
        else:
            ids = self.choose(probabilities, self.top_k, audio_mask)
            weights = probabilities.gather(-1, ids)
        if self.normalize:
            weights = weights / weights.sum(-1, keepdim=True)
        return weights, ids


class Experts(nn.Module):
    """All routed experts; their weights lie stacked, expert first.

    `is_grouped` computes them by grouped products, which read no number back and take one call whatever their number:
    what GPUs want. Otherwise they are computed one after the other, as training on a CPU does fastest.
    """

    is_grouped = False

    def __init__(self, dim: int, intermediate_dim: int, num_experts: int) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.gate_proj = nn.Parameter(torch.empty(num_experts, intermediate_dim, dim))
        self.up_proj = nn.Parameter(torch.empty(num_experts, intermediate_dim, dim))
        self.down_proj = nn.Parameter(torch.empty(num_experts, dim, intermediate_dim))
        for weight in (self.gate_proj, self.up_proj, self.down_proj):
            # Uniform of variance 1 / fan-in. (On the meta device, normal_ would load torch's compiler.)
            bound = (3 / weight.shape[-1]) ** 0.5
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, x: Tensor, weights: Tensor, ids: Tensor) -> Tensor:
        """Weighted sum `(N, dim)` of each row's experts, products and sum in float32.

        `x` `(N, dim)`; `weights` `(N, k)` float32; `ids` `(N, k)`.
        """
        num_rows, top_k = ids.shape
        if num_rows == 0:  # a rank without a share of the step
            return x
        row_of = torch.arange(ids.numel(), device=ids.device) // top_k
        results = self._each(x, row_of, ids.flatten()).view(num_rows, top_k, -1)
        return weighted_sum(results, weights).to(x.dtype)

    def _each(self, x: Tensor, row_of: Tensor, expert_of: Tensor) -> Tensor:
        """Output `(M, dim)` of expert `expert_of[i]` for row `x[row_of[i]]`; there must be one."""
        order = expert_of.argsort(stable=True)
        if self.is_grouped:
            return self._grouped(x[row_of[order]], expert_of[order])[order.argsort()]
        tokens_per_expert = torch.bincount(expert_of, minlength=self.num_experts).tolist()
        groups = torch.split(x[row_of[order]], tokens_per_expert)
        outputs = [self._expert(index, rows) for index, rows in enumerate(groups) if len(rows)]
        return torch.cat(outputs)[order.argsort()]

    def _grouped(self, rows: Tensor, expert_of: Tensor) -> Tensor:
        """Outputs `(M, dim)` for rows in the order of their experts."""
        experts = torch.arange(self.num_experts, device=expert_of.device)
        ends = torch.searchsorted(expert_of, experts, right=True).int()

        def product(inputs: Tensor, weight: Tensor) -> Tensor:
            out: Tensor = grouped_mm(inputs, weight.transpose(1, 2), offs=ends)
            return out

        hidden = silu(product(rows, self.gate_proj)) * product(rows, self.up_proj)
        return product(hidden, self.down_proj)

    def _expert(self, index: int, rows: Tensor) -> Tensor:
        """Output `(n, dim)` of one expert for its rows `(n, dim)`."""
        hidden = silu(linear(rows, self.gate_proj[index])) * linear(rows, self.up_proj[index])
        return linear(hidden, self.down_proj[index])


def weighted_sum(results: Tensor, weights: Tensor) -> Tensor:
    """`(N, dim)`, float32, of results `(N, k, dim)`: always in the order of choice, whoever is beside a row."""
    return (results.float() * weights[..., None]).sum(1)


class MixtureOfExperts(nn.Module):
    """Routed experts plus, with weight 1, one shared expert; `(N, dim)` to `(N, dim)`."""

    def __init__(
        self,
        dim: int,
        intermediate_dim: int,
        num_experts: int,
        top_k: int,
        num_shared_experts: int,
        *,
        norm_topk_prob: bool,
        multi_gate: bool,
    ) -> None:
        super().__init__()
        self.router = Router(dim, num_experts, top_k, normalize=norm_topk_prob, multi_gate=multi_gate)
        self.experts = Experts(dim, intermediate_dim, num_experts)
        self.shared_experts = (
            GatedFeedForward(dim, intermediate_dim * num_shared_experts) if num_shared_experts else None
        )

    def forward(self, x: Tensor, audio_mask: Tensor | None = None) -> Tensor:
        weights, ids = self.router(x, audio_mask)
        out: Tensor = self.experts(x, weights, ids)
        if self.shared_experts is not None:
            out = out + self.shared_experts(x)
        return out
