"""Are the routers stable? The variance of expert activation over the last thousand steps, by layer.

The activation of an expert is its share of the positions times the number of experts, so that 1 is an even
share. It is taken over blocks of steps rather than single ones, because steps differ by task and a single
one has few positions. The variance of a router is the mean square distance of all activations of the window
from 1, and has two parts: `imbalance`, how far the experts' means lie apart, and `fluctuation`, how much
each expert's share changes from block to block. A router that collapses shows in the first, one that
cannot settle in the second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.monitors.figures import finish, panels
from training.monitors.signatures import UNSTABLE_ROUTING, Alert, Signature
from uniaudio.errors import InvalidInputError

_ROUTERS = ("text router", "audio router")
_HISTORY = 2000  # looks that a figure shows; older ones are thinned out


@dataclass(frozen=True, kw_only=True)
class RoutingVariance:
    """Of one window, by layer and router `(layers, routers)`; NaN for a router that nothing went through."""

    total: Tensor
    imbalance: Tensor
    fluctuation: Tensor

    def worst(self) -> tuple[float, int, int]:
        """The largest variance, its layer and its router."""
        flat = int(self.total.nan_to_num(-1.0).argmax())
        layer, router = divmod(flat, self.total.shape[1])
        return float(self.total[layer, router]), layer, router


def routing_variance(blocks: Tensor) -> RoutingVariance:
    """Variance of counts `(blocks, layers, routers, E)`; blocks without positions do not count."""
    counts = blocks.double()
    positions = counts.sum(-1, keepdim=True)
    used = positions > 0
    activation = torch.where(used, counts / positions.clamp(min=1) * counts.shape[-1], torch.nan)
    mean = activation.nanmean(0)
    imbalance = (mean - 1).square().mean(-1)
    fluctuation = (activation - mean).square().nanmean(0).mean(-1)
    return RoutingVariance(total=imbalance + fluctuation, imbalance=imbalance, fluctuation=fluctuation)


class RoutingMonitor:
    """Watches `tokens_per_expert` of every step; alarms once a whole window is above `limit`."""

    signature: Signature = UNSTABLE_ROUTING

    def __init__(self, *, window_steps: int = 1000, num_blocks: int = 10, limit: float = 0.05) -> None:
        if num_blocks < 2 or window_steps % num_blocks:
            raise InvalidInputError(
                f"a window of {window_steps} steps does not give {num_blocks} equal blocks of two or more"
            )
        self.window_steps, self.limit = window_steps, limit
        self._block_steps = window_steps // num_blocks
        self._blocks: deque[Tensor] = deque(maxlen=num_blocks)
        self._open: Tensor | None = None
        self._num_open = 0
        self._step = 0
        self._variance: RoutingVariance | None = None
        self._history: list[tuple[int, Tensor]] = []

    def add(self, step: int, tokens_per_expert: Tensor) -> None:
        """Counts of one step `(layers, routers, E)`, of all ranks; read on the host once a block."""
        counts = tokens_per_expert.detach()
        self._open = counts.clone() if self._open is None else self._open.to(counts.device) + counts
        self._num_open += 1
        self._step = step
        if self._num_open == self._block_steps:
            self._close_block()

    def alert(self) -> Alert | None:
        if self._variance is None or len(self._blocks) < (self._blocks.maxlen or 0):
            return None
        value, layer, router = self._variance.worst()
        if not value > self.limit:
            return None
        imbalance, fluctuation = (
            self._variance.imbalance[layer, router],
            self._variance.fluctuation[layer, router],
        )
        evidence = (
            f"the variance of expert activation in layer {layer} ({_ROUTERS[router]}) is {value:.1%} over the "
            f"last {self.window_steps} steps, above {self.limit:.0%} (imbalance {imbalance:.1%}, fluctuation "
            f"{fluctuation:.1%})"
        )
        return Alert(signature=self.signature, step=self._step, evidence=evidence)

    def metrics(self) -> Mapping[str, float]:
        """The worst layer's variance and its parts, and the variance of every layer."""
        if self._variance is None:
            return {}
        value, layer, router = self._variance.worst()
        by_layer = self._variance.total.nan_to_num(0.0).amax(1)
        return {
            "routing/variance": value,
            "routing/imbalance": float(self._variance.imbalance[layer, router]),
            "routing/fluctuation": float(self._variance.fluctuation[layer, router]),
            **{f"routing/variance/layer_{index}": float(v) for index, v in enumerate(by_layer)},
        }

    def figure(self) -> bytes | None:
        """Left, the variance of every layer over the run; right, what each expert had in the window."""
        if not self._history:
            return None
        figure, (left, right) = panels(2)
        steps = [step for step, _ in self._history]
        by_layer = torch.stack([total.nan_to_num(0.0).amax(1) for _, total in self._history])
        for layer in range(by_layer.shape[1]):
            colour = f"C{layer}" if by_layer.shape[1] <= 10 else "tab:blue"
            left.plot(steps, by_layer[:, layer].tolist(), color=colour, linewidth=1.2, label=f"layer {layer}")
        left.axhline(self.limit, color="black", linestyle="--", linewidth=1, label=f"limit {self.limit:.0%}")
        left.set_yscale("log")
        left.set_xlabel("step")
        left.set_ylabel("variance of expert activation")
        left.grid(alpha=0.3)
        if by_layer.shape[1] <= 10:
            left.legend(fontsize="x-small", ncols=2)
        activation = self.activation()
        rows = activation.flatten(0, 1)
        image = right.imshow(rows.numpy(), aspect="auto", cmap="coolwarm", vmin=0, vmax=2)
        right.set_xlabel("expert")
        right.set_ylabel("layer")
        routers = activation.shape[1]
        right.set_yticks([layer * routers + (routers - 1) / 2 for layer in range(activation.shape[0])],
                         [str(layer) for layer in range(activation.shape[0])])  # fmt: skip
        right.set_title(
            "activation (1 is even)" + ("; text above audio router" if routers == 2 else ""), fontsize=8
        )
        figure.colorbar(image, ax=right)
        return finish(figure, self.signature, self.alert())

    def activation(self) -> Tensor:
        """Share times number of experts over the window, `(layers, routers, E)`; NaN where unused."""
        counts = torch.stack(list(self._blocks)).double().sum(0)
        return counts / counts.sum(-1, keepdim=True) * counts.shape[-1]

    def state(self) -> dict[str, Any]:
        return {
            "blocks": list(self._blocks),
            "open": None if self._open is None else self._open.cpu(),
            "num_open": self._num_open,
            "step": self._step,
            "history": list(self._history),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._blocks.clear()
        self._blocks.extend(state["blocks"])
        self._open, self._num_open, self._step = state["open"], state["num_open"], state["step"]
        self._history = list(state["history"])
        self._variance = routing_variance(torch.stack(list(self._blocks))) if self._blocks else None

    def _close_block(self) -> None:
        assert self._open is not None
        self._blocks.append(self._open.cpu())
        self._open, self._num_open = None, 0
        self._variance = routing_variance(torch.stack(list(self._blocks)))
        self._history.append((self._step, self._variance.total))
        if len(self._history) > _HISTORY:
            del self._history[: _HISTORY // 2 : 2]
