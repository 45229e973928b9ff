"""Experts kept equally busy by a bias on their choice, without a loss of its own.

After every step the bias of an expert with less than its share of positions rises, that of one with more
falls. The bias takes part where experts are chosen, never in their weights, so it asks nothing of the
gradients. Two things differ from the published rule (2408.15664: a move of fixed size, by the sign, on
sigmoid scores), because these routers are softmax ones and steps differ by task:

- The bias is added to the logits. The probabilities of a softmax differ by hundredths at one position and
  by almost 1 at another, so no one bias on them serves both.
- It moves in proportion to how far an expert is from its share, one share at most, and less after a step
  with fewer positions than the router usually has; so it settles instead of wandering, on what tasks ask
  for together.

Variance of expert activation over the last 200 steps, worst router, of the debug model of
`training.experiments.routing` (tokenizer of random weights, one seed, no auxiliary loss). The worst is the
audio router, which one step in four uses:

    bias on        move                                      rate    step 200   300    400
    probabilities  by the sign                               0.002   1.69       1.66   1.64
    logits         by the sign                               0.01    2.28       2.28   1.85
    logits         in proportion                             0.02    1.67       1.42   1.05
    logits         in proportion, weighed by positions       0.05    0.71       0.12   0.13
    logits         in proportion, weighed by positions       0.15    0.063      0.027  0.028

Losses at step 400 lay within 0.04 (text) and 0.003 (flow) of each other.

**The released layout has no such tensor.** So the bias fades to nothing before a run ends (`fade_from`,
`fade_steps`): while it fades it is no longer updated, and the routers learn to do without. Until then
`routing/changed` says which part of the choices would be others without it, and `without_bias` shows the
model as an export would have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.nn.moe import MixtureOfExperts

_MEMORY = 0.05  # weight of one step in the mean of positions


@dataclass(frozen=True, kw_only=True)
class RouterBalanceConfig:
    """`rate` is a bias's change a step for one share of positions too few, on logits; 0 only counts.

    A fresh router's logits spread by about 0.6; a rate far above 0.15 would overshoot them.

    `fade_from` is the first step with less than the whole bias; `fade_steps` later there is none. None
    keeps it: then an export routes differently from the trained model.
    """

    rate: float = 0.15
    fade_from: int | None = None
    fade_steps: int = 1000

    def __post_init__(self) -> None:
        if self.rate < 0 or self.fade_steps < 1:
            raise InvalidInputError(
                f"rate is {self.rate} and fade_steps is {self.fade_steps}; they start at 0 and at 1"
            )

    def scale(self, step: int) -> float:
        """The part of the bias that is in force at a step."""
        if self.fade_from is None:
            return 1.0
        return min(1.0, max(0.0, 1.0 - (step + 1 - self.fade_from) / self.fade_steps))


class _BiasedChoice:
    """One layer's choice: row 0 of `bias` and of the counts is for text, row 1 for the audio router."""

    def __init__(self, num_experts: int, multi_gate: bool, device: torch.device) -> None:
        self.multi_gate = multi_gate
        self.bias = torch.zeros(2, num_experts, device=device)
        self.scale = 1.0
        self.counts = torch.zeros(2, num_experts, dtype=torch.long, device=device)
        self.num_changed = torch.zeros((), dtype=torch.long, device=device)

    def __call__(self, probabilities: Tensor, top_k: int, audio_mask: Tensor | None) -> Tensor:
        plain = probabilities.topk(top_k, -1).indices
        if audio_mask is None or not self.multi_gate:
            router = torch.zeros(len(probabilities), dtype=torch.long, device=probabilities.device)
        else:
            router = audio_mask.long()
        ids = plain
        if self.scale > 0:
            ids = (probabilities.log() + self.scale * self.bias[router]).topk(top_k, -1).indices
        if torch.is_grad_enabled():
            self._count(ids, plain, router)
        return ids

    @torch.no_grad()
    def _count(self, ids: Tensor, plain: Tensor, router: Tensor) -> None:
        num_experts = self.bias.shape[1]
        slots = (router[:, None] * num_experts + ids).flatten()
        self.counts += torch.bincount(slots, minlength=2 * num_experts).view(2, num_experts)
        self.num_changed += (ids[..., None] != plain[:, None]).all(-1).sum()


class RouterBalance:
    """The biases of all layers of a model; `after_step` moves them.

    `tokens_per_expert` `(layers, 2, E)` is what the last step's positions chose: by the text router and,
    second, by the audio router.
    """

    def __init__(self, model: nn.Module, config: RouterBalanceConfig) -> None:
        self.config = config
        self._layers: list[_BiasedChoice] = []
        for layer in (module for module in model.modules() if isinstance(module, MixtureOfExperts)):
            gate = layer.router.gate
            choice = _BiasedChoice(gate.out_features, layer.router.audio_gate is not None, gate.weight.device)
            layer.router.choose = choice
            choice.scale = config.scale(0)
            self._layers.append(choice)
        if not self._layers:
            raise InvalidInputError("the model has no mixture of experts; there is nothing to balance")
        self.tokens_per_expert = torch.stack([layer.counts for layer in self._layers])
        self._usual_share = torch.zeros_like(self.tokens_per_expert[..., :1], dtype=torch.float32)

    @property
    def bias(self) -> Tensor:
        """`(layers, 2, E)`, before fading."""
        return torch.stack([layer.bias for layer in self._layers])

    @torch.no_grad()
    def after_step(self, step: int) -> Mapping[str, float]:
        """Updates the biases by what the step `step` chose on all ranks, and tells how it went."""
        counts = torch.stack([layer.counts for layer in self._layers])
        changed = torch.stack([layer.num_changed for layer in self._layers]).sum()
        if distributed.is_initialized():
            distributed.all_reduce(counts)
            distributed.all_reduce(changed)
        self.tokens_per_expert = counts
        share = counts.float().mean(-1, keepdim=True)
        moves = self._moves(counts, share) if self.config.scale(step) == 1 else torch.zeros_like(share)
        for layer, move in zip(self._layers, moves, strict=True):
            layer.bias += self.config.rate * move
            layer.scale = self.config.scale(step + 1)
            layer.counts.zero_()
            layer.num_changed.zero_()
        used = share[..., 0] > 0
        overload = (counts.amax(-1)[used] / share[..., 0][used] - 1) if used.any() else counts.new_zeros(1)
        return {
            "routing/overload": float(overload.float().mean()),
            "routing/changed": float(changed) / max(int(counts.sum()), 1),
            "routing/bias": float(self.bias.abs().max()) * self.config.scale(step),
        }

    def _moves(self, counts: Tensor, share: Tensor) -> Tensor:
        """`(layers, 2, E)`: what each expert lacked, in shares of the router's usual step."""
        usual = torch.where(self._usual_share > 0, self._usual_share.lerp(share, _MEMORY), share)
        self._usual_share = torch.where(share > 0, usual, self._usual_share)
        moves = ((share - counts) / self._usual_share.clamp(min=1e-6)).clamp(-1, 1)
        return moves - moves.mean(-1, keepdim=True)  # only differences count

    @contextmanager
    def without_bias(self) -> Iterator[None]:
        """The model as an export has it."""
        scales = [layer.scale for layer in self._layers]
        try:
            for layer in self._layers:
                layer.scale = 0.0
            yield
        finally:
            for layer, scale in zip(self._layers, scales, strict=True):
                layer.scale = scale

    def state(self) -> dict[str, Tensor | float]:
        """The biases, the part in force, and how many positions are usual."""
        return {
            "bias": self.bias.cpu(),
            "scale": self._layers[0].scale,
            "usual_share": self._usual_share.cpu(),
        }

    def load_state(self, state: Mapping[str, Tensor | float]) -> None:
        """Takes back what `state` gave; CheckpointError where that was a bias on probabilities."""
        if "usual_share" not in state:
            raise CheckpointError(
                "the checkpoint's routers were balanced by a bias on probabilities, here it is on logits: "
                "begin the run anew, or finish it with the version that began it"
            )
        bias, scale, usual = state["bias"], state["scale"], state["usual_share"]
        assert isinstance(bias, Tensor)
        assert isinstance(usual, Tensor)
        self._usual_share.copy_(usual)
        for layer, row in zip(self._layers, bias, strict=True):
            layer.bias.copy_(row)
            layer.scale = float(scale)
