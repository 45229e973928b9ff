"""How a run's parameters lie over its ranks, and what follows for gradients, norms and checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.optimizer import local
from training.parallel import Ranks

_BUCKET_ELEMENTS = 16 * 1024 * 1024


class Layout:
    """Every rank holds every parameter; gradients of shares are summed over the ranks."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.is_sharded = False

    @torch.no_grad()
    def sum_gradients(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Makes each gradient the sum over all ranks; a parameter that no rank has one for keeps none."""
        if self.ranks.count == 1:
            return
        wanted = list(parameters.values())
        has_gradient = self.ranks.any_of(*(p.grad is not None for p in wanted))
        gradients = []
        for parameter, has in zip(wanted, has_gradient, strict=True):
            if has:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(local(parameter.grad))
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            dist.all_reduce(flat)
            for gradient, part in zip(bucket, torch.split(flat, [g.numel() for g in bucket]), strict=True):
                gradient.copy_(part.view_as(gradient))

    @torch.no_grad()
    def norm_and_loss(self, parameters: Mapping[str, nn.Parameter], loss: Tensor) -> tuple[float, float]:
        """The norm of all gradients taken as one vector, and the loss summed over ranks; one wait for the GPU."""
        squares = [local(p.grad).double().square().sum() for p in parameters.values() if p.grad is not None]
        square = torch.stack(squares).sum() if squares else loss.new_zeros((), dtype=torch.float64)
        both = torch.stack([square, loss.double()])
        if self.ranks.count > 1:
            both[0] /= self.ranks.count
            dist.all_reduce(both)
        norm_square, total = both.tolist()
        return norm_square**0.5, total

    def saved(self, tensor: Tensor, parameter: Tensor) -> Tensor:
        """`tensor`, which lies as `parameter` does, as a checkpoint must see it; shares its memory."""
        return tensor.detach()

    def whole(self, tensor: Tensor) -> Tensor:
        """All of a tensor that may be sharded; every rank calls it."""
        return tensor.detach()


def _buckets(gradients: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        bucket.append(gradient)
        size += gradient.numel()
        if size >= _BUCKET_ELEMENTS:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket
