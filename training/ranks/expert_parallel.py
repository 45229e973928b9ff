"""Routed experts spread over ranks: each rank holds some, and rows travel to the experts they chose.

Every rank must run every mixture of experts equally often, also with no rows of its own: the exchange
waits for all.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from uniaudio.errors import InvalidInputError
from uniaudio.nn.moe import Experts


class SpreadExperts(Experts):
    """The experts of one rank of a group; takes and gives what all of them would, `(N, dim)`.

    Made out of `Experts` in place by `spread_experts`, so that whoever refers to them still does.
    """

    num_held: int
    group: dist.ProcessGroup

    def forward(self, x: Tensor, weights: Tensor, ids: Tensor) -> Tensor:
        """See `Experts.forward`; gradients of rows come back, those of experts stay with their rank."""
        num_rows, top_k = ids.shape
        flat = ids.flatten()
        order = flat.argsort(stable=True)
        sent = torch.bincount(flat, minlength=self.num_experts).view(-1, self.num_held)
        received = torch.empty_like(sent)
        dist.all_to_all_single(received, sent, group=self.group)
        send, receive = sent.sum(1).tolist(), received.sum(1).tolist()
        rows = exchange(x[order // top_k], send, receive, self.group)
        back = exchange(self._apply_held(rows, received), receive, send, self.group)
        unsorted = back[order.argsort()].view(num_rows, top_k, x.shape[-1])
        return (unsorted.float() * weights[..., None]).sum(1).to(x.dtype)

    def _apply_held(self, rows: Tensor, received: Tensor) -> Tensor:
        """Each row's expert applied; rows lie by source, then expert, as `received` `(sources, held)` counts."""
        held = torch.arange(self.num_held, device=rows.device).repeat(len(received))
        by_expert = held.repeat_interleave(received.flatten()).argsort(stable=True)
        groups = torch.split(rows[by_expert], received.sum(0).tolist())
        # The first expert runs even without rows: its weights then have the gradient 0 that they would have
        # beside all others, and the way back of the exchange stays connected.
        outputs = [self._expert(index, part) for index, part in enumerate(groups) if index == 0 or len(part)]
        return torch.cat(outputs)[by_expert.argsort()]


def spread_experts(experts: Experts, group: dist.ProcessGroup) -> None:
    """Leaves `experts` with this rank's part of the stacked weights, and makes it work with the others."""
    size, rank = dist.get_world_size(group), dist.get_rank(group)
    if experts.num_experts % size:
        raise InvalidInputError(
            f"{experts.num_experts} experts cannot be spread evenly over {size} ranks; "
            "set ParallelConfig.expert to a divisor"
        )
    num_held = experts.num_experts // size
    for name, parameter in list(experts.named_parameters()):
        part = parameter.detach()[rank * num_held : (rank + 1) * num_held].clone()
        setattr(experts, name, nn.Parameter(part, requires_grad=parameter.requires_grad))
    experts.__class__ = SpreadExperts
    assert isinstance(experts, SpreadExperts)
    experts.num_held, experts.group = num_held, group


def exchange(rows: Tensor, send: list[int], receive: list[int], group: dist.ProcessGroup) -> Tensor:
    """Gives the first `send[0]` rows to the group's first rank, and so on; returns what all gave to this one."""
    received: Tensor = _Exchange.apply(rows, send, receive, group)
    return received


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, send: list[int], receive: list[int], group: dist.ProcessGroup
    ) -> Tensor:
        ctx.way_back = (receive, send, group)
        return _all_to_all(rows, send, receive, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _all_to_all(gradient, *ctx.way_back), None, None, None


def _all_to_all(rows: Tensor, send: list[int], receive: list[int], group: dist.ProcessGroup) -> Tensor:
    received = rows.new_empty(sum(receive), *rows.shape[1:])
    dist.all_to_all_single(received, rows.contiguous(), receive, send, group=group)
    return received
