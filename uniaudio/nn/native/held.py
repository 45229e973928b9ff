"""The experts that one rank holds for others, in the kernels' layout."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from uniaudio.nn.held_experts import places_of
from uniaudio.nn.native.library import load_kernels
from uniaudio.nn.native.packed import Affine, Precision, StackShape, check, new_stack, set_expert
from uniaudio.nn.native.threads import on_threads


class PackedHeldExperts:
    """The experts that one rank holds of every layer, in the kernels' layout."""

    def __init__(
        self,
        shape: StackShape,
        held: range,
        layers: Iterable[Sequence[tuple[Affine, Affine]]],
        precision: Precision,
    ) -> None:
        self._kernels = load_kernels()
        self._shape, self._held = shape, held
        self._stack = new_stack(shape, precision)
        weakref.finalize(self, self._kernels.ua_free_stack, self._stack)
        self._num_weights = 0  # of one expert
        for index, experts in enumerate(layers):
            for expert, (up, down) in zip(held, experts, strict=True):
                set_expert(self._stack, index, expert, up, down, precision)
                self._num_weights = up.weight.numel() + down.weight.numel()

    def results(self, layer: int, x: Tensor, ids: Tensor) -> Tensor:
        """Outputs `(M, dim)`, float32, of the assignments whose expert is held, in their order.

        `x` `(N, dim)` is of the precision's `rows_dtype`, `ids` `(N, k)` int32.
        """
        out = torch.empty(len(places_of(self._held, ids)), self._shape.dim)
        rows, ids = x.contiguous(), ids.contiguous()
        if len(out):
            arguments = (layer, len(rows), rows.data_ptr(), ids.data_ptr(), out.data_ptr())
            failed = on_threads(
                len(out) * self._num_weights,
                lambda threads: self._kernels.ua_apply_held(self._stack, *arguments, threads),
            )
            check(failed)
        return out
